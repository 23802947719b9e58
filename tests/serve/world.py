"""Servers of the tests, on 127.0.0.1."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from funprm.serve.app import make_app
from funprm.serve.connections import uvicorn_config
from funprm.serve.run import Serving, listening, open_services
from funprm.serve.services import Services
from funprm.serve.settings import ServeSettings

ADD = "Return the sum of a and b."
GOOD = "def add(a, b):\n    return a + b\n"
BAD = "def add(a, b):\n    return a - b\n"
TESTS = [{"input": [1, 2], "output": 3}, {"input": [0, 0], "output": 0}]
ENDLESS = "while True:\n    pass\n"


@dataclass
class Served:
    """A server that is running in a thread."""

    url: str
    services: Services
    server: uvicorn.Server

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers=headers, timeout=60)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, timeout=60)


@contextmanager
def served(
    *,
    upstream: str = "",
    prm: str = "",
    key: str = "",
    settings: ServeSettings | None = None,
    others: Mapping[str, Any] | None = None,
) -> Iterator[Served]:
    """Serve for the length of a with-block."""
    settings = settings or ServeSettings()
    serving = Serving(upstream=upstream, upstream_key_env="NO_KEY", prm=prm)
    services = open_services(serving, settings, others or {})
    with running(services, key) as found:
        yield found


@contextmanager
def running(services: Services, key: str = "") -> Iterator[Served]:
    """Serve these services."""
    listener = listening("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn_config(make_app(services, key), services.settings))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        until(lambda: server.started)
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", services, server)
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive()


def until(condition: Any, seconds: float = 60) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def fenced(code: str) -> str:
    return f"Here:\n```python\n{code}```\n"


def adding(body: Mapping[str, Any], index: int) -> str:
    """Every second program, by its seed, adds; the others subtract."""
    return fenced(GOOD if body["seed"] % 2 else BAD)
