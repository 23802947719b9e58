"""The page for people, and the stream of news that it shows."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import FileResponse, Response

from funprm.prompts import build_prompt
from funprm.serve import asking, notes
from funprm.serve.best_of_n import Asked, best_of_n, check, described
from funprm.serve.errors import DOCUMENTED, body_of, http_error
from funprm.serve.schemas import Number, Selection
from funprm.serve.services import Services
from funprm.serve.streaming import Emit, EventStream, event
from funprm.serve.upstream import Wanted

_FOLDER = Path(__file__).parent / "page"
_FILES = {"/": "index.html", "/page.js": "page.js", "/page.css": "page.css"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class SolveRequest(Selection):
    """A problem that is to be solved, with news of every candidate."""

    statement: str = Field(min_length=1)
    model: str = Field(min_length=1)
    temperature: Number | None = None
    max_tokens: int | None = Field(None, ge=1)


def routes(services: Services) -> APIRouter:
    """The page and its stream."""
    router = APIRouter(tags=["page"])
    for path, name in _FILES.items():
        router.add_api_route(path, _sender(name), include_in_schema=False)

    events: dict[int | str, dict[str, Any]] = {
        200: {"description": "Events.", "content": {"text/event-stream": {}}}
    }

    @router.post("/solve", responses={**DOCUMENTED, **events}, response_class=Response)
    async def solve(body: SolveRequest, request: Request) -> Any:  # noqa: ANN401
        """Events: `sample`, `judged`, `scored` per candidate, then `chosen` or `error`."""
        asked = _asked(body, services)
        check(asked, services)
        notes.begin(request, asked, services.settings)
        return _stream(asked, request, services)

    return router


def _sender(name: str) -> Any:  # noqa: ANN401
    async def send() -> FileResponse:
        return FileResponse(_FOLDER / name, headers=_HEADERS)

    return send


def _asked(body: SolveRequest, services: Services) -> Asked:
    fields = asking.fields_of(
        body.tests, body.entry_point, body.seconds, services.settings, body.starter_code
    )
    problem = asking.problem_with(body.statement, fields)
    prompt = build_prompt(problem, "chain_of_function")
    options = {"temperature": body.temperature, "max_tokens": body.max_tokens}
    wanted = Wanted(
        model=body.model,
        messages=[{"role": "user", "content": prompt}],
        problem=problem,
        count=body.budget or services.settings.n,
        options={name: value for name, value in options.items() if value is not None},
    )
    return Asked(wanted=wanted, selector=body.selector)


def _stream(asked: Asked, request: Request, services: Services) -> Response:
    async def produce(emit: Emit) -> None:
        try:
            chosen = await best_of_n(asked, services, lambda news: emit(event(news)))
        except Exception as error:  # noqa: BLE001  it is the stream's answer
            emit(event({"type": "error", **body_of(http_error(error), "")}))
            return
        notes.end(request, chosen, services.settings)
        emit(event({"type": "chosen", **described(chosen, 1)}))

    return EventStream(produce, every=services.settings.keep_alive)
