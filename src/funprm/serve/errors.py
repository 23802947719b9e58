"""Errors as the protocols of OpenAI and Anthropic say them."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from funprm.errors import ExecutorError, FunprmError, InputError, PolicyError
from funprm.serve.log import LOG

ANTHROPIC_PATH = "/v1/messages"
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
"""Types of errors, as both protocols name them, by status."""
_CLIENT_GONE = 499


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """An error, in OpenAI's schema."""

    error: ErrorDetail


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 404, 408, 413, 429, 500, 502, 503)
}
"""Statuses of errors, for the description of an operation."""


class HttpError(HTTPException):
    """A request that is refused, or that failed.

    Args:
        status: of HTTP.
        message: one line for people.
        code: for programs.
        param: the field of the request that is at fault.
        retry_after: seconds after which to try again.
    """

    def __init__(
        self, status: int, message: str, *, code: str = "", param: str = "", retry_after: int = 0
    ) -> None:
        headers = {"Retry-After": str(retry_after)} if retry_after else None
        super().__init__(status, message, headers)
        self.code, self.param = code or None, param or None


def busy(what: str) -> HttpError:
    """The refusal of a server that has enough to do."""
    message = f"too many {what} are waiting: try again later"
    return HttpError(429, message, code="busy", retry_after=1)


def client_gone() -> HttpError:
    """Nobody waits for the answer any more."""
    return HttpError(_CLIENT_GONE, "the client closed the connection")


def http_error(error: BaseException) -> HttpError:
    """An error of this package as one of HTTP; any other is the server's own fault, and logged."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    line = " ".join(str(error).split())
    match error:
        case HttpError():
            return error
        case HTTPException():
            return HttpError(error.status_code, str(error.detail))
        case InputError():
            return HttpError(400, line)
        case PolicyError():
            return HttpError(502, line, code="upstream_error")
        case ExecutorError():
            return HttpError(503, line, code="judge_unavailable")
        case _:
            LOG.error("fault", exc_info=error)
            return HttpError(500, f"internal error ({type(error).__name__})", code="internal_error")


def body_of(error: HttpError, path: str) -> Mapping[str, Any]:
    """The error's body, as the protocol of the path wants it."""
    default = "api_error" if error.status_code >= 500 else "invalid_request_error"
    kind = _KINDS.get(error.status_code, default)
    if path.startswith(ANTHROPIC_PATH):
        return {"type": "error", "error": {"type": kind, "message": error.detail}}
    detail = ErrorDetail(message=error.detail, type=kind, param=error.param, code=error.code)
    return {"error": detail.model_dump()}


def response_of(error: HttpError, path: str) -> JSONResponse:
    """The error's response."""
    return JSONResponse(body_of(error, path), error.status_code, error.headers)


def add_handlers(app: FastAPI) -> None:
    """Make an application answer all errors so."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return response_of(http_error(error), request.url.path)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return response_of(_invalid(error), request.url.path)

    app.add_exception_handler(RequestValidationError, invalid)
    for kind in (HTTPException, FunprmError, ExceptionGroup, Exception):
        app.add_exception_handler(kind, answer)


def _invalid(error: RequestValidationError) -> HttpError:
    """The first fault of a request; what it held is not repeated."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    place = place.encode(errors="replace").decode()[:200]
    message = f"{place}: {first['msg']}" if place else str(first["msg"])
    return HttpError(400, message[:1000], param=place, code=str(first["type"]))
