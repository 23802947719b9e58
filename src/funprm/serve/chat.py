"""OpenAI's protocol: `/v1/chat/completions` and `/v1/models`."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from funprm.records import Json
from funprm.serve import asking, notes
from funprm.serve.best_of_n import Asked, Candidate, Chosen, best_of_n, check, described
from funprm.serve.errors import DOCUMENTED, body_of, http_error
from funprm.serve.schemas import ChatRequest
from funprm.serve.services import Services
from funprm.serve.streaming import Emit, EventStream, event, unless_gone

_FINISH = {"stop": "stop", "empty": "stop", "length": "length", "refused": "content_filter"}
_DONE = b"data: [DONE]\n\n"
_PIECE = 256
"""Characters of an answer per event of a stream."""


class Message(BaseModel):
    """An answer."""

    role: str = "assistant"
    content: str
    refusal: str | None = None


class Choice(BaseModel):
    """One of the programs that were wanted, best first."""

    index: int
    message: Message
    logprobs: None = None
    finish_reason: str


class Usage(BaseModel):
    """Tokens of all candidates together."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """An answer of OpenAI's protocol; `metadata` tells of all candidates."""

    id: str
    object: str = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    metadata: dict[str, Any]


class Model(BaseModel):
    """A model that can be asked for."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = "funprm"


class ModelList(BaseModel):
    """All models."""

    object: str = "list"
    data: list[Model]


def routes(services: Services) -> APIRouter:
    """The routes of the protocol."""
    router = APIRouter(prefix="/v1", tags=["chat"], responses=DOCUMENTED)

    @router.get("/models")
    async def models() -> ModelList:
        """The upstream's models."""
        names = await services.upstream.models() if services.upstream else []
        return ModelList(data=[Model(id=name) for name in names])

    @router.post("/chat/completions", response_model=ChatCompletion)
    async def complete(body: ChatRequest, request: Request) -> Any:  # noqa: ANN401
        """The best of N programs."""
        asked = asking.of_chat(body, services.settings)
        check(asked, services)
        notes.begin(request, asked, services.settings)
        if body.stream:
            return _stream(asked, body, request, services)
        chosen = await unless_gone(request, best_of_n(asked, services))
        notes.end(request, chosen, services.settings)
        return _completion(asked, chosen)

    return router


def usage_of(chosen: Chosen) -> Usage:
    """The tokens of all candidates."""
    prompt, completion = chosen.usage
    total = prompt + completion
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total)


def _completion(asked: Asked, chosen: Chosen) -> ChatCompletion:
    best = chosen.candidates[: asked.choices]
    return ChatCompletion(
        id=_new_id(),
        created=int(time.time()),
        model=asked.wanted.model,
        choices=[_choice(index, candidate) for index, candidate in enumerate(best)],
        usage=usage_of(chosen),
        metadata=described(chosen, asked.choices),
    )


def _choice(index: int, candidate: Candidate) -> Choice:
    finish = _FINISH[candidate.program.finish]
    return Choice(index=index, message=Message(content=candidate.text), finish_reason=finish)


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


# --- streams ---------------------------------------------------------------------------------


def _stream(asked: Asked, body: ChatRequest, request: Request, services: Services) -> Response:
    """The chosen answer as events, once it is chosen; an error then is an event, too."""
    wants_usage = bool(body.stream_options and body.stream_options.include_usage)

    async def produce(emit: Emit) -> None:
        try:
            chosen = await best_of_n(asked, services)
        except Exception as error:  # noqa: BLE001  it is the stream's answer
            emit(event(body_of(http_error(error), "")))
            return
        notes.end(request, chosen, services.settings)
        for chunk in _chunks(asked, chosen, usage=wants_usage):
            emit(event(chunk))
        emit(_DONE)

    return EventStream(produce, every=services.settings.keep_alive)


def _chunks(asked: Asked, chosen: Chosen, *, usage: bool) -> Iterator[Mapping[str, Json]]:
    head = {
        "id": _new_id(),
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": asked.wanted.model,
    }
    for index, candidate in enumerate(chosen.candidates[: asked.choices]):
        yield {**head, "choices": [_delta(index, {"role": "assistant", "content": ""})]}
        for piece in pieces(candidate.text):
            yield {**head, "choices": [_delta(index, {"content": piece})]}
        finish = _FINISH[candidate.program.finish]
        end = {**head, "choices": [{**_delta(index, {}), "finish_reason": finish}]}
        last = index + 1 == asked.choices
        yield {**end, "metadata": described(chosen, asked.choices)} if last else end
    if usage:
        yield {**head, "choices": [], "usage": usage_of(chosen).model_dump()}


def pieces(text: str) -> list[str]:
    """An answer in parts, as streams send it."""
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]


def _delta(index: int, delta: Mapping[str, Json]) -> dict[str, Json]:
    return {"index": index, "delta": delta, "finish_reason": None, "logprobs": None}
