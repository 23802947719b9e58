"""What stands before all routes: key, host, size and time of a request, its log line and counts."""

import asyncio
import hmac
import ipaddress
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from funprm.serve.errors import HttpError, client_gone, http_error, response_of
from funprm.serve.log import LOG
from funprm.serve.services import Services

OPEN_PATHS = frozenset({"/", "/page.js", "/page.css", "/health", "/ready", "/favicon.ico"})
"""What needs no key: the page asks for one, and its calls carry it."""


@dataclass(eq=False)
class Guard:
    """Lets requests through that may come in (ASGI).

    A body is read whole before the application sees it: one that is too long or too slow costs
    nobody else anything. Where there is no key, only names of this machine are served: a web page
    whose host name was pointed here (DNS rebinding) is refused.

    Args:
        app: what it guards.
        services: settings and counts.
        key: what clients must have; empty: nothing.
    """

    app: ASGIApp
    services: Services
    key: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = _Call(scope, send)
        self.services.metrics.in_flight.inc()
        try:
            self._admit(scope["path"], Headers(scope=scope))
            body = await self._body(Headers(scope=scope), receive)
            await self.app(scope, _replayed(body, receive), call.send)
        except HttpError as error:  # its body may not have been read
            if not call.status:
                response = response_of(error, scope["path"])
                response.headers["connection"] = "close"
                await response(scope, receive, call.send)
        except Exception as error:  # noqa: BLE001  told by the log and the status
            if not call.status:
                await response_of(http_error(error), scope["path"])(scope, receive, call.send)
        finally:
            self.services.metrics.in_flight.dec()
            self._note(call)

    def _admit(self, path: str, headers: Mapping[str, str]) -> None:
        if not self.key:
            _require_local_name(headers.get("host", ""))
        elif path not in OPEN_PATHS and not _has_key(headers, self.key):
            message = "a valid key is needed: Authorization: Bearer KEY, or x-api-key: KEY"
            raise HttpError(401, message, code="invalid_api_key")

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        most, seconds = self.services.settings.max_body, self.services.settings.body_seconds
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told[:20]) > most:
            raise _too_large(most)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise client_gone()
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise _too_large(most)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise HttpError(
                408, f"the request's body did not arrive in {seconds:g} s", code="slow_body"
            ) from None
        return b"".join(parts)

    def _note(self, call: "_Call") -> None:
        route = getattr(call.scope.get("route"), "path", "other")
        seconds = time.monotonic() - call.started
        self.services.metrics.requests.labels(route, call.status or 499).inc()
        self.services.metrics.seconds.labels(route).observe(seconds)
        fields = {
            "request_id": call.id,
            "method": call.scope["method"],
            "path": call.scope["path"][:200],
            "status": call.status or 499,
            "seconds": round(seconds, 4),
            **call.scope.get("state", {}).get("notes", {}),
        }
        LOG.info("request", extra={"fields": fields})


class _Call:
    """What becomes of a request."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self._send = scope, send
        self.id = f"req_{uuid.uuid4().hex}"
        self.started = time.monotonic()
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send on, with the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(b"x-request-id", self.id.encode()), (b"request-id", self.id.encode())]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await self._send(message)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was read, then what comes after it."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _too_large(most: int) -> HttpError:
    return HttpError(413, f"the request is larger than {most} bytes", code="request_too_large")


def _has_key(headers: Mapping[str, str], key: str) -> bool:
    """Whether a request carries the key; the time that takes does not depend on how much fits."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    return hmac.compare_digest(given.encode(), key.encode())


def _require_local_name(host: str) -> None:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if not is_loopback(name.strip("[]")):
        message = "this server has no key, and so serves this machine alone: ask 127.0.0.1"
        raise HttpError(403, message, code="host_not_allowed")


def is_loopback(host: str) -> bool:
    """Whether a name or an address is one of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
