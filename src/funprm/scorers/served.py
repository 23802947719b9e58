"""Reward models behind servers: vLLM's `/classify` and `/pooling`, SGLang's `/v1` endpoints.

What the servers answer, as documented (vLLM 0.14 to 0.21, SGLang 0.5):

| endpoint | asked with | answer |
|---|---|---|
| vLLM `/classify` | `messages`, its own template | `data[0].probs`, one number per label |
| vLLM `/pooling` | `messages` | `data[0].data`: numbers, or a row per token that is pooled |
| SGLang `/v1/classify` | `input`, a text | `data[0].probs`, softmax over the labels |
| SGLang `/v1/embeddings` | `input`, a text | `data[0].embedding`, the logits |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

from funprm.errors import ConfigError, PolicyError
from funprm.records import Json, LabelledProgram, key_of
from funprm.scorers.chats import FENCED, QUESTION, ProgramChat, render
from funprm.scorers.numbers import Activation, check_activation, score_of
from funprm.scorers.remote import Body, Call, Remote

Endpoint = Literal["vllm_classify", "vllm_pooling", "sglang_classify", "sglang_embeddings"]

_PATHS: Mapping[str, tuple[str, str]] = {
    "vllm_classify": ("/classify", "probs"),
    "vllm_pooling": ("/pooling", "data"),
    "sglang_classify": ("/v1/classify", "probs"),
    "sglang_embeddings": ("/v1/embeddings", "embedding"),
}
"""Path, and the field of a result that holds its numbers."""


@dataclass(eq=False, kw_only=True)
class ServedScorer(Remote):
    """Scores by a reward model that vLLM or SGLang serves: of programs, or of their steps."""

    transport: ClassVar[frozenset[str]] = Remote.transport | {"tokenizer"}

    base_url: str = "http://127.0.0.1:8000"
    api: Endpoint = "vllm_classify"
    tokenizer: str = ""
    """SGLang's endpoints take text: folder or hub name of the model, for its chat template."""
    system: str = ""
    question: str = QUESTION
    answer: str = FENCED
    step_end: str = ""
    """The token after each step, where a server pools at it (`pooling_type` STEP)."""
    label: int = 0
    """Number of the label whose score is wanted."""
    activation: Activation = "auto"
    """`auto`: the server's own; `sigmoid` or `softmax`: it is asked for logits."""
    scale: float = 1.0
    """Logits are divided by it, where they are asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_activation(self.activation, self.scale)
        if self.api not in _PATHS:
            raise ConfigError(
                f"api = {self.api!r}: expected one of {', '.join(get_args(Endpoint))}"
            )
        if self._sends_text and not self.tokenizer:
            raise ConfigError(
                f"api = {self.api!r} takes text: set tokenizer to the model's folder or hub name"
            )
        self._chat = ProgramChat(question=self.question, answer=self.answer, system=self.system)

    def identity(self) -> Mapping[str, Json]:
        """The model's name, texts around a program, and what of the answer is the score."""
        return {
            "scorer": "served",
            "model": self.model,
            "api": self.api,
            **self._chat.identity(),
            "template": str(self._template.chat_template) if self._sends_text else "",
            "read": [self.step_end, self.label, self.activation, self.scale],
        }

    @property
    def _sends_text(self) -> bool:
        return self.api.startswith("sglang")

    @property
    def endpoint(self) -> tuple[str, str]:
        """The path, and `data`."""
        return _PATHS[self.api][0], "data"

    async def ask(self, call: Call, program: LabelledProgram) -> tuple[float, ...]:
        """A program's scores, by one call."""
        turns = self._chat.of(program, self.step_end)
        body: dict[str, Json] = {"model": self.model}
        if self._sends_text:
            body["input"] = render(self._template, turns)
        else:
            body["messages"] = turns
            if self.activation in ("sigmoid", "softmax"):
                body["use_activation"] = False
        answer = await call(body, key_of("served", dict(self.identity()), turns))
        return self._read(answer, len(program.steps))

    def _read(self, answer: Body, steps: int) -> tuple[float, ...]:
        rows = _rows(answer["data"][0].get(_PATHS[self.api][1]))
        if not rows or any(len(row) <= self.label for row in rows):
            raise PolicyError(
                f"{self.base_url} answered no score for label {self.label}: "
                f"{str(answer['data'][0])[:200]}; check api and label"
            )
        if self.api == "sglang_classify" and len(rows[0]) == 1:
            raise PolicyError(
                "SGLang's /v1/classify is a softmax over the labels, which is always 1 for a model "
                'of one label: set api = "sglang_embeddings"'
            )
        if len(rows) not in (1, steps):
            raise PolicyError(
                f"{self.base_url} gave {len(rows)} rows for a program of {steps} steps: expected "
                "one per step or one for the whole; serve it with a pooling_type of STEP, or LAST"
            )
        return tuple(score_of(row, self.label, self._activation, self.scale) for row in rows)

    @property
    def _activation(self) -> Activation:
        if self.activation != "auto":
            return self.activation
        return "sigmoid" if self.api == "sglang_embeddings" else "none"

    @cached_property
    def _template(self) -> Any:  # noqa: ANN401  (the library's tokenizers are untyped)
        from funprm.language_models import find_tokenizer, load_tokenizer

        return load_tokenizer(find_tokenizer(self.tokenizer))


def _rows(numbers: Json) -> list[list[float]]:
    """Numbers of an answer as rows: one, or one per pooled token; none where it is neither."""
    if not isinstance(numbers, list) or not numbers:
        return []
    rows = numbers if isinstance(numbers[0], list) else [numbers]
    if all(isinstance(row, list) and all(isinstance(n, int | float) for n in row) for row in rows):
        return [[float(number) for number in row] for row in rows]
    return []
