"""`funprm serve`: a process that is started, and ended without losing what it accepted."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from funprm.cli import main
from funprm.testing.server import Server
from tests.serve.world import ADD, until

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": ADD}], "budget": 2}


@contextmanager
def started(log: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server and its address."""
    command = [sys.executable, "-m", "funprm", "serve", "--port", "0", *arguments]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            until(lambda: b'"serving"' in log.read_bytes() or process.poll() is not None)
            port = json.loads(log.read_text().splitlines()[0])["port"]
            yield process, f"http://127.0.0.1:{port}"
        finally:
            if process.poll() is None:
                process.kill()


def test_what_was_accepted_is_finished(upstream: Server, tmp_path: Path) -> None:
    upstream.script.seconds = 1.5
    log = tmp_path / "log"
    answers: list[httpx.Response] = []
    with started(log, "--upstream", upstream.url, "--upstream-key-env", "NO_KEY") as (process, url):

        def ask() -> None:
            answers.append(httpx.post(f"{url}/v1/chat/completions", json=CHAT, timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: len(upstream.bodies) == 2)
        process.send_signal(signal.SIGTERM)
        asking.join()
        assert process.wait(30) in (0, -signal.SIGTERM)
    assert answers[0].status_code == 200
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    (row,) = [row for row in rows if row.get("path") == "/v1/chat/completions"]
    assert (row["status"], row["budget"], row["model"]) == (200, 2, "tiny")
    assert ADD not in log.read_text()


def test_programs_are_logged_where_asked_for(upstream: Server, tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = ("--upstream", upstream.url, "--set", "serve.log_programs=true")
    with started(log, *options) as (process, url):
        httpx.post(f"{url}/v1/chat/completions", json={**CHAT, "stream": True}, timeout=60)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    (row,) = [r for r in map(json.loads, log.read_text().splitlines()) if r.get("budget")]
    assert row["statement"] == ADD
    assert len(row["programs"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "without a key"),
        (["--upstream", "localhost:8000"], "expected http://"),
        (["--prm", "nowhere"], "nowhere"),
        (["--set", "serve.m=1"], "no setting serve.m"),
        (["--set", "generate.n=1"], "expected serve.NAME"),
        (["--set", "executor.nothing=1"], "no setting 'nothing'"),
        (["--upstream", "http://127.0.0.1:1/v1", "--set", "policy.name=replay"], "give one"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
