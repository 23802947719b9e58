"""Anthropic's protocol: `/v1/messages`."""

import uuid
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from funprm.records import Json
from funprm.serve import asking, notes
from funprm.serve.best_of_n import Asked, Chosen, best_of_n, check, described
from funprm.serve.chat import pieces
from funprm.serve.errors import ANTHROPIC_PATH, DOCUMENTED, body_of, http_error
from funprm.serve.schemas import MessagesRequest
from funprm.serve.services import Services
from funprm.serve.streaming import Emit, EventStream, event, unless_gone

_STOP = {"stop": "end_turn", "empty": "end_turn", "length": "max_tokens", "refused": "refusal"}


class TextBlock(BaseModel):
    """The text of an answer."""

    type: str = "text"
    text: str


class TokenUsage(BaseModel):
    """Tokens of all candidates together."""

    input_tokens: int
    output_tokens: int


class MessageAnswer(BaseModel):
    """An answer of Anthropic's protocol; `metadata` tells of all candidates."""

    id: str
    type: str = "message"
    role: str = "assistant"
    content: list[TextBlock]
    model: str
    stop_reason: str | None
    stop_sequence: str | None = None
    usage: TokenUsage
    metadata: dict[str, Any]


def routes(services: Services) -> APIRouter:
    """The routes of the protocol."""
    router = APIRouter(tags=["messages"], responses=DOCUMENTED)

    @router.post(ANTHROPIC_PATH, response_model=MessageAnswer)
    async def answer(body: MessagesRequest, request: Request) -> Any:  # noqa: ANN401
        """The best of N programs."""
        asked = asking.of_messages(body, services.settings)
        check(asked, services)
        notes.begin(request, asked, services.settings)
        if body.stream:
            return _stream(asked, request, services)
        chosen = await unless_gone(request, best_of_n(asked, services))
        notes.end(request, chosen, services.settings)
        return _message(asked, chosen)

    return router


def _message(asked: Asked, chosen: Chosen) -> MessageAnswer:
    best = chosen.candidates[0]
    prompt, completion = chosen.usage
    return MessageAnswer(
        id=f"msg_{uuid.uuid4().hex}",
        content=[TextBlock(text=best.text)],
        model=asked.wanted.model,
        stop_reason=_STOP[best.program.finish],
        usage=TokenUsage(input_tokens=prompt, output_tokens=completion),
        metadata=described(chosen, 1),
    )


def _stream(asked: Asked, request: Request, services: Services) -> Response:
    """The chosen answer as events, once it is chosen."""

    async def produce(emit: Emit) -> None:
        try:
            chosen = await best_of_n(asked, services)
        except Exception as error:  # noqa: BLE001  it is the stream's answer
            emit(_named(body_of(http_error(error), ANTHROPIC_PATH)))
            return
        notes.end(request, chosen, services.settings)
        for found in _events(_message(asked, chosen)):
            emit(_named(found))

    return EventStream(produce, beat=_named({"type": "ping"}), every=services.settings.keep_alive)


def _named(found: Json) -> bytes:
    return event(found, found["type"])


def _events(message: MessageAnswer) -> Iterator[dict[str, Json]]:
    whole = message.model_dump()
    begin = {**whole, "content": [], "stop_reason": None}
    begin["usage"] = {**whole["usage"], "output_tokens": 0}
    yield {"type": "message_start", "message": begin}
    block = {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for piece in pieces(message.content[0].text):
        delta = {"type": "text_delta", "text": piece}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": message.stop_reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": whole["usage"]}
    yield {"type": "message_stop"}
