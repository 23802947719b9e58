"""Server-sent events, and what happens when nobody listens any more."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from funprm.records import Json
from funprm.serve.errors import client_gone

T = TypeVar("T")
Emit = Callable[[bytes], None]
"""Sends an event."""
COMMENT = b": waiting\n\n"
"""A sign of life that every client of server-sent events ignores."""


def event(data: Json, name: str = "") -> bytes:
    """One event with JSON in it."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do work for a client; it is cancelled when the client closes its connection.

    Raises:
        HttpError: the client is gone.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise client_gone()
        return task.result()
    finally:
        await _end(task, gone)


class EventStream(Response):
    """A response whose events are made while it is sent.

    Args:
        produce: sends events by the function that it is given; it must not raise, and is
            cancelled when the client closes its connection.
        beat: what is sent where `produce` is silent.
        every: for so many seconds.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        produce: Callable[[Emit], Coroutine[Any, Any, None]],
        *,
        beat: bytes = COMMENT,
        every: float,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._produce, self._beat, self._every = produce, beat, every

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        task = asyncio.ensure_future(self._produce(events.put_nowait))
        task.add_done_callback(lambda _: events.put_nowait(None))
        gone = asyncio.ensure_future(_gone(receive))
        gone.add_done_callback(lambda _: events.put_nowait(None))
        status = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            await send(status)
            while (chunk := await self._next(events)) is not None and not gone.done():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not gone.done():
                task.result()
                await send({"type": "http.response.body", "body": b""})
        finally:
            await _end(task, gone)

    async def _next(self, events: "asyncio.Queue[bytes | None]") -> bytes | None:
        try:
            async with asyncio.timeout(self._every):
                return await events.get()
        except TimeoutError:
            return self._beat


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
