"""An OpenAI-compatible server on 127.0.0.1 that fails as it is told to.

Faults are planned per call and attempt, so a run is the same however its threads interleave. The
server counts, per call (its `Idempotency-Key`), the answers that it delivered completely.
"""

import email.utils
import hashlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal[
    "",
    "429",
    "429 date",
    "429 bare",
    "500",
    "503",
    "drop",
    "half",
    "close early",
    "malformed",
    "no choices",
    "hang",
    "drip",
    "slow",
]
FAULTS: tuple[Fault, ...] = (
    "429",
    "429 date",
    "500",
    "503",
    "drop",
    "half",
    "close early",
    "malformed",
    "no choices",
    "hang",
    "drip",
    "slow",
)
Json = Any


@dataclass(frozen=True)
class RefusalError(Exception):
    """An error response that a server's rule decides on."""

    status: int
    message: str
    code: str = ""
    parameter: str = ""


def program(body: Mapping[str, Json], index: int) -> Json:
    """The default answer: a program that tells the seed, as text or as a choice's fields."""
    return f"Here it is:\n```python\nprint({body.get('seed')}, {index})\n```\nDone.\n"


@dataclass
class Script:
    """What the server does; fields may be changed while it runs."""

    answer: Callable[[Mapping[str, Json], int], Json] = program
    """From the body and the choice's number: the text, or a dict with the choice's fields, and
    `usage` where it is to be told."""
    whole: Callable[[str, Mapping[str, Json]], Json] | None = None
    """From path and body: a whole answer without choices, of another endpoint than OpenAI's."""
    fault: Callable[[str, int], Fault] = lambda call, attempt: ""
    """From the call's name and the number of its attempt, from 0."""
    rule: Callable[[str, Mapping[str, Json]], None] = lambda path, body: None
    """Raises RefusalError for a path and body that the server refuses."""
    key: str = ""
    models: tuple[str, ...] = ("tiny", "small")
    choices: int = 100
    """At most so many answers in one call."""
    usage: bool = True
    extra: Mapping[str, Json] = field(default_factory=dict)
    """Fields that replace those of each answer."""
    seconds: float = 0.0
    """Pause before each answer."""


@dataclass
class Server:
    """The running server and what it saw."""

    script: Script
    url: str = ""
    bodies: list[dict[str, Json]] = field(default_factory=list)
    """Bodies of all POST calls, in order of arrival; `path` added."""
    headers: list[dict[str, str]] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """Answers that were made and then deliberately not delivered."""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve(script: Script | None = None, port: int = 0) -> Iterator[Server]:
    """Run a server for the length of a with-block."""
    server = Server(script or Script())
    handler = type("Handler", (_Handler,), {"server_state": server})
    http = _Http(("127.0.0.1", port), handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        http.server_close()
        thread.join()


def one_in(n: int, faults: tuple[Fault, ...] = FAULTS) -> Callable[[str, int], Fault]:
    """Every n-th attempt, by a hash, meets one of the faults."""

    def plan(call: str, attempt: int) -> Fault:
        digest = hashlib.sha256(f"{call} {attempt}".encode()).digest()
        number = int.from_bytes(digest[:8], "big")
        return faults[number // n % len(faults)] if number % n == 0 else ""

    return plan


def first(fault: Fault, times: int = 1) -> Callable[[str, int], Fault]:
    """The first attempts of every call meet this fault."""
    return lambda call, attempt: fault if attempt < times else ""


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are expected."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server_state: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/v1/models" or not self.server_state.script.models:
            self._error(RefusalError(404, "Not Found"))
            return
        data = [{"id": name, "object": "model"} for name in self.server_state.script.models]
        self._send(200, json.dumps({"object": "list", "data": data}).encode())

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = self.headers.get("Idempotency-Key", "")
        with state.lock:
            state.bodies.append({**body, "path": self.path})
            state.headers.append(dict(self.headers))
            attempt = state.attempts[call]
            state.attempts[call] += 1
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        try:
            state.closing.wait(state.script.seconds)
            self._authorize()
            state.script.rule(self.path, body)
            self._serve(call, state.script.fault(call, attempt), body)
        except RefusalError as refusal:
            self._error(refusal)
        finally:
            with state.lock:
                state.at_once -= 1

    def _authorize(self) -> None:
        key = self.server_state.script.key
        given = self.headers.get("Authorization", "")
        if key and given != f"Bearer {key}":
            raise RefusalError(401, f"Incorrect API key provided: {given}", "invalid_api_key")

    def _serve(self, call: str, fault: Fault, body: Mapping[str, Json]) -> None:
        if fault.startswith(("429", "5")):
            self._busy(fault)
        elif fault == "malformed":
            self._send(200, b'{"choices": [{"message": {"conte')
        elif fault == "no choices":
            self._send(200, b'{"object": "chat.completion", "choices": []}')
        else:
            self._deliver(call, fault, json.dumps(self._answer(body)).encode())

    def _busy(self, fault: Fault) -> None:
        headers = {"429": {"Retry-After": "0.02"}, "503": {"Retry-After": "0"}}.get(fault, {})
        if fault == "429 date":
            headers = {"Retry-After": email.utils.formatdate(time.time(), usegmt=True)}
        self._error(RefusalError(int(fault[:3]), "busy", "busy"), headers)

    def _deliver(self, call: str, fault: Fault, answer: bytes) -> None:
        """Send an answer that was made, or lose it in the way that the fault says."""
        state = self.server_state
        if fault in ("", "slow"):
            self._send(200, answer, chunks=4 if fault else 1, pause=0.01)
            with state.lock:
                state.delivered[call] += 1
            return
        with state.lock:
            state.lost[call] += 1
        self.close_connection = True
        if fault == "hang":
            state.closing.wait(6)
        elif fault == "half":
            self._head(200, {"Content-Length": str(len(answer))})
            self.wfile.write(answer[: len(answer) // 2])
        elif fault == "close early":  # no length is told: the end of the connection ends it
            self._head(200, {"Connection": "close"})
            self.wfile.write(answer[: len(answer) // 2])
        elif fault == "drip":
            self._send(200, answer, chunks=50, pause=0.12)
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, body: Mapping[str, Json]) -> Json:
        script = self.server_state.script
        if script.whole is not None:
            return script.whole(self.path, body)
        count = min(int(body.get("n", 1)), script.choices)
        choices = [self._choice(script.answer(body, index), index) for index in range(count)]
        counts = Counter({"prompt_tokens": 10, "completion_tokens": 5 * count})
        if any("usage" in choice for choice in choices):
            counts = sum((Counter(choice.pop("usage")) for choice in choices), Counter())
        answer = {"id": "x", "object": "chat.completion", "model": body["model"]}
        usage = {"usage": counts} if script.usage else {}
        return {**answer, "choices": choices, **usage, **script.extra}

    def _choice(self, answer: Json, index: int) -> Json:
        choice = {"index": index, "finish_reason": "stop"}
        if isinstance(answer, dict):
            return {**choice, **answer}
        if self.path.endswith("/chat/completions"):
            return {**choice, "message": {"role": "assistant", "content": answer}}
        return {**choice, "text": answer}

    def _error(self, refusal: RefusalError, headers: Mapping[str, str] | None = None) -> None:
        error = {"message": refusal.message, "code": refusal.code, "param": refusal.parameter}
        self._send(refusal.status, json.dumps({"error": error}).encode(), headers=headers)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(
        self,
        status: int,
        content: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        chunks: int = 1,
        pause: float = 0.0,
    ) -> None:
        self._head(status, {"Content-Length": str(len(content)), **(headers or {})})
        size = -(-len(content) // chunks)
        for start in range(0, len(content), size):
            self.wfile.write(content[start : start + size])
            if chunks > 1:
                self.wfile.flush()
                self.server_state.closing.wait(pause)
        self.wfile.flush()
