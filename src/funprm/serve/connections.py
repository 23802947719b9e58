"""Connections: how an application is served, and what ends those that stand still."""

import asyncio
import contextlib
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from funprm.serve.settings import ServeSettings


def uvicorn_config(app: ASGIApp, settings: ServeSettings) -> uvicorn.Config:
    """How an application is served."""

    class Protocol(_Impatient):
        head_seconds, write_seconds = settings.body_seconds, settings.write_seconds

    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.connections,
        timeout_graceful_shutdown=int(settings.drain_seconds),
    )


class _Impatient(H11Protocol):
    """Ends connections that send no head of a request, and those that do not take an answer."""

    head_seconds = 30.0
    write_seconds = 30.0
    _head: asyncio.TimerHandle | None = None
    _write: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; it is asked for signs of life."""
        super().connection_made(transport)
        self._await_head()
        with contextlib.suppress(OSError):
            found = transport.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
            milliseconds = int(self.write_seconds * 1000)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    def data_received(self, data: bytes) -> None:
        """Bytes came; a head of a request must be complete in time."""
        super().data_received(data)
        working = self.cycle is not None and not self.cycle.response_complete
        if working:
            _stop(self._head)
            self._head = None
        elif self._head is None:
            self._await_head()

    def pause_writing(self) -> None:
        """The client is slower than its answer."""
        super().pause_writing()
        self._write = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It took what was sent."""
        super().resume_writing()
        _stop(self._write)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        _stop(self._head)
        _stop(self._write)
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head = self.loop.call_later(self.head_seconds, self.transport.abort)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
