"""`kill -9` amid paid requests: what is asked again was in flight, and nothing else was."""

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

from funprm.cli import main
from funprm.testing.server import Server, serve

PROBLEMS, EACH, CONCURRENCY = 10, 100, 16
RUN = """
output = "{folder}/run"
[dataset]
name = "jsonl"
path = "{folder}/problems.jsonl"
[policy]
name = "openai_api"
model = "tiny"
base_url = "{url}"
concurrency = {concurrency}
[generate]
n = {each}
"""
PROBLEM = '{{"id": "p{number}", "statement": "s", "tests": [{{"input": "", "output": ""}}]}}\n'


def started(folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "funprm", "generate", str(folder / "run.toml")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed_after(answers: int, process: "subprocess.Popen[bytes]", server: Server) -> None:
    """Let the server deliver so many answers and no more, then kill the process."""
    numbers = itertools.count()
    server.script.fault = lambda call, attempt: "hang" if next(numbers) >= answers else ""
    deadline = time.monotonic() + 60
    while server.delivered.total() < answers and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    server.script.fault = lambda call, attempt: ""


def test_only_what_was_in_flight_is_asked_again(tmp_path: Path) -> None:
    problems = (PROBLEM.format(number=number) for number in range(PROBLEMS))
    (tmp_path / "problems.jsonl").write_text("".join(problems))
    with serve() as server:
        settings = {"folder": tmp_path, "url": server.url, "concurrency": CONCURRENCY, "each": EACH}
        (tmp_path / "run.toml").write_text(RUN.format(**settings))
        assert main(["load", str(tmp_path / "run.toml")]) == 0
        killed_after(500, started(tmp_path), server)
        stored = len((tmp_path / "run" / "generations.jsonl").read_bytes().splitlines())
        assert 500 - CONCURRENCY <= stored <= 500
        assert started(tmp_path).wait(100) == 0
    assert len(server.attempts) == PROBLEMS * EACH
    assert server.attempts.total() <= PROBLEMS * EACH + CONCURRENCY
    assert max(server.attempts.values()) <= 2
    lines = (tmp_path / "run" / "generations.jsonl").read_bytes().splitlines()
    assert len(lines) == PROBLEMS * EACH
