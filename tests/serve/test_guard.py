"""Who may come in, with how much, how slowly; others are not affected."""

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from funprm.errors import ConfigError
from funprm.serve.run import Serving, serve
from funprm.serve.settings import ServeSettings, serve_settings
from funprm.testing.server import Server
from tests.serve.world import GOOD, Served, served, until

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Add."}], "budget": 1}


@pytest.fixture(scope="module")
def strict(fake: Server) -> Iterator[Served]:
    settings = ServeSettings(
        max_body=4000, body_seconds=0.5, write_seconds=0.5, concurrency=1, queue=1, n=1
    )
    with served(upstream=fake.url, key="sesame", settings=settings) as server:
        yield server


def key(text: str = "sesame") -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_a_key(strict: Served, upstream: Server) -> None:
    assert strict.post("/v1/chat/completions", CHAT).status_code == 401
    wrong = strict.post("/v1/chat/completions", CHAT, **key("sesamE"))
    assert wrong.json()["error"]["code"] == "invalid_api_key"
    assert "sesam" not in wrong.text
    assert strict.get("/metrics").status_code == 401
    assert strict.get("/health").status_code == 200
    assert strict.post("/v1/chat/completions", CHAT, **key()).status_code == 200
    assert strict.post(
        "/v1/messages", {**CHAT, "max_tokens": 9}, **{"x-api-key": "sesame"}
    ).is_success
    assert strict.post("/v1/messages", CHAT).json()["error"]["type"] == "authentication_error"


def test_without_a_key_only_this_machine(server: Served) -> None:
    assert server.get("/health", host="evil.example").status_code == 403
    assert server.get("/health", host="localhost:80").status_code == 200
    with pytest.raises(ConfigError, match="without a key"):
        serve(Serving(host="0.0.0.0", key_env="NO_SUCH_KEY"))


def test_a_huge_body(strict: Served, upstream: Server) -> None:
    huge = {**CHAT, "messages": [{"role": "user", "content": "x" * 10_000}]}
    answer = strict.post("/v1/chat/completions", huge, **key())
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    with httpx.Client() as client:
        try:
            streamed = client.post(
                f"{strict.url}/v1/chat/completions", content=chunks(), headers=key()
            )
            assert streamed.status_code == 413
        except httpx.WriteError:  # the connection was closed amid the body
            pass
    assert strict.post("/v1/chat/completions", CHAT, **key()).status_code == 200


def connect(server: Served) -> socket.socket:
    port = int(server.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def head(path: str, length: int) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Authorization: Bearer sesame"]
    lines += ["Content-Type: application/json", f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode()


def test_a_slow_body(strict: Served) -> None:
    with connect(strict) as client:
        client.sendall(head("/judge", 1000) + b"{")
        answer = client.makefile("rb").read()
    assert b" 408 " in answer.splitlines()[0]
    assert b"slow_body" in answer


@pytest.mark.parametrize("said", [b"", b"POST /jud"])
def test_a_client_that_says_nothing(strict: Served, said: bytes) -> None:
    with connect(strict) as client:
        client.sendall(said)
        client.settimeout(20)
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass


def test_a_slow_reader_is_let_go(strict: Served, upstream: Server) -> None:
    upstream.script.answer = lambda body, index: "x" * 8_000_000
    body = json.dumps({**CHAT, "stream": True}).encode()
    with connect(strict) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(head("/v1/chat/completions", len(body)) + body)
        until(lambda: upstream.bodies)
        until(lambda: strict.services.metrics.in_flight._value.get() == 0)
        upstream.script.answer = lambda body, index: GOOD
        assert strict.post("/v1/chat/completions", CHAT, **key()).status_code == 200


def test_a_full_queue(strict: Served, upstream: Server) -> None:
    upstream.script.seconds = 1.0
    body = json.dumps(CHAT).encode()
    clients = [connect(strict) for _ in range(2)]
    for client in clients:
        client.sendall(head("/v1/chat/completions", len(body)) + body)
        time.sleep(0.1)
    until(lambda: strict.services.metrics.waiting._value.get() == 1)
    refused = strict.post("/v1/chat/completions", CHAT, **key())
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    for client in clients:
        assert b" 200 " in client.makefile("rb").readline()
        client.close()


def test_operations(server: Served) -> None:
    assert server.get("/health").json() == {"status": "ok"}
    ready = server.get("/ready")
    assert ready.status_code == 200
    assert "isolation" in ready.json()["judge"]
    server.post("/run_code", {"code": "print(1)"})
    text = server.get("/metrics").text
    assert 'funprm_requests_total{route="/run_code",status="200"}' in text
    assert 'funprm_programs_judged_total{status="passed"}' in text


def test_malformed_requests(server: Served) -> None:
    url = f"{server.url}/v1/chat/completions"
    kind = {"Content-Type": "application/json"}
    bodies = [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"model": "\\ud800", "messages": []}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
        json.dumps({**CHAT, "tests": [{"input": float("nan"), "output": 10**400}]}).encode(),
        json.dumps({**CHAT, "top_k": float("nan")}).encode(),
        json.dumps({**CHAT, "temperature": float("nan")}).encode(),
        json.dumps({**CHAT, "seconds": 1e9}).encode(),
    ]
    for body in bodies:
        answer = httpx.post(url, content=body, headers=kind, timeout=60)
        assert answer.status_code == 400, (body[:80], answer.text)
        assert answer.json()["error"]["message"]
    assert server.get("/nowhere").status_code == 404
    assert server.get("/v1/chat/completions").json()["error"]["type"] == "invalid_request_error"


def test_settings() -> None:
    assert serve_settings({"n": 4}).n == 4
    with pytest.raises(ConfigError, match="did you mean 'queue'"):
        serve_settings({"queu": 1})
    with pytest.raises(ConfigError, match="more than serve.max_n"):
        serve_settings({"n": 100})
    with pytest.raises(ConfigError, match="expected more than 0"):
        serve_settings({"concurrency": 0})
    with pytest.raises(ConfigError, match="serve: Expected"):
        serve_settings({"n": "many"})
