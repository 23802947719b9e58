"""Requests of the chat protocols."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(allow_inf_nan=False)]


class TextPart(BaseModel):
    """A part of a message; only text is known."""

    model_config = ConfigDict(extra="allow")
    type: Literal["text"]
    text: str


Content = str | list[TextPart]


def text_of(content: Content) -> str:
    """The text of a message."""
    return content if isinstance(content, str) else "".join(part.text for part in content)


class PublicTest(BaseModel):
    """A test that may choose among programs."""

    input: Any = Field(description="Text of standard input; a list of arguments of a function.")
    output: Any = Field(description="Text of standard output; what the function returns.")


class Selection(BaseModel):
    """What best-of-N needs beside the protocol's own fields."""

    budget: int | None = Field(None, ge=1, description="N: programs to sample.")
    selector: str = Field(
        "", description="Such as score, score:min, majority, public_tests+score; empty: the best."
    )
    tests: list[PublicTest] = Field([], description="Tests that programs are filtered by.")
    entry_point: str = Field("", description="Function to be written; empty: standard input.")
    starter_code: str = Field("", description="Code that the program begins with.")
    seconds: float | None = Field(None, gt=0, allow_inf_nan=False, description="CPU limit a test.")
    statement: str = Field("", description="What is scored; empty: the text of the user messages.")


class ChatMessage(BaseModel):
    """A message of OpenAI's protocol."""

    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant"]
    content: Content


class StreamOptions(BaseModel):
    """How a stream ends."""

    model_config = ConfigDict(extra="allow")
    include_usage: bool | None = None


class ChatRequest(Selection):
    """A request of OpenAI's protocol; fields that are not named here go to the upstream."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1)
    messages: list[ChatMessage] = Field(min_length=1)
    n: int | None = Field(None, ge=1, description="Programs to return, best first.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    seed: int | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None


class AnthropicMessage(BaseModel):
    """A message of Anthropic's protocol."""

    model_config = ConfigDict(extra="allow")
    role: Literal["user", "assistant"]
    content: Content


class MessagesRequest(Selection):
    """A request of Anthropic's protocol."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1)
    max_tokens: int = Field(ge=1)
    messages: list[AnthropicMessage] = Field(min_length=1)
    system: Content | None = None
    stream: bool | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    stop_sequences: list[str] | None = None
