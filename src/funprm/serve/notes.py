"""What the log says of a request for best-of-N; statements and programs only where asked for."""

from starlette.requests import Request

from funprm.serve.best_of_n import Asked, Chosen
from funprm.serve.settings import ServeSettings


def begin(request: Request, asked: Asked, settings: ServeSettings) -> None:
    """Note what is asked."""
    request.state.notes = {"model": asked.wanted.model, "budget": asked.wanted.count}
    if settings.log_programs:
        request.state.notes["statement"] = asked.wanted.problem.statement


def end(request: Request, chosen: Chosen, settings: ServeSettings) -> None:
    """Note what came out."""
    notes = request.state.notes
    notes["selector"] = chosen.selector
    notes["tokens"] = sum(chosen.usage)
    notes["failures"] = len(chosen.failures)
    if settings.log_programs:
        notes["programs"] = [candidate.program.code for candidate in chosen.candidates]
