"""The tiny model behind a serving stack of others: `transformers serve`."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from transformers.utils.import_utils import is_serve_available

from funprm.cli import main
from funprm.datasets.mini import MiniDataset
from funprm.errors import PolicyError
from funprm.interfaces import Request
from funprm.language_models import TINY, find_folder
from funprm.policies.openai.policy import OpenAIPolicy
from funprm.records import Problem, key_of, seed_of
from tests.policies.openai.processes import wait_for

pytestmark = [
    pytest.mark.served,
    pytest.mark.skipif(
        not is_serve_available(),
        reason="needs a serving stack: pip install 'transformers[serving]'",
    ),
]
STARTED_IN = 100.0
"""Seconds that a server may take to load torch and the model."""


@dataclass
class Served:
    url: str
    model: str

    def policy(self, **settings: Any) -> OpenAIPolicy:
        settings = {"prompt": "statement", "max_tokens": 96, "temperature": 1.0, **settings}
        return OpenAIPolicy(**{"model": self.model, "base_url": self.url, **settings})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = servable(tmp_path_factory.mktemp("served"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (folder.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, folder.parent / "log", STARTED_IN)
        yield Served(f"http://127.0.0.1:{port}/v1", str(folder))
    finally:
        process.kill()
        process.wait()


def servable(folder: Path) -> Path:
    """The model with a note for servers: where its answer begins.

    Without one, `transformers serve` takes any Qwen2 for a ChatML model, finds no beginning of
    the answer, and gives the prompt back with it.
    """
    target = folder / "tiny"
    target.mkdir()
    for file in find_folder(TINY, "").iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    path = target / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings["response_template"] = {
        "defaults": {"role": "assistant"},
        "start_anchor": "<|solution|>",
        "fields": {"content": {"close": "<|end|>", "content": "text"}},
    }
    path.write_text(json.dumps(settings))
    return target


@pytest.fixture(scope="module")
def problem() -> Problem:
    return next(iter(MiniDataset(train=0, meta=0, validation=0, test=1).load()))


def requests(problem: Problem, count: int, prefix: str = "") -> list[Request]:
    return [
        Request(
            key=key_of(prefix, index),
            problem=problem,
            index=index,
            seed=seed_of(prefix, index),
            prefix=prefix,
        )
        for index in range(count)
    ]


def test_programs(served: Served, problem: Problem) -> None:
    tested = served.policy(concurrency=1)
    samples = list(tested.sample(requests(problem, 4)))
    assert len(samples) == 4
    assert all(sample.code.startswith("def solve(") for sample in samples)
    assert all(sample.prompt_tokens > 0 < sample.completion_tokens for sample in samples)
    again = served.policy(concurrency=1).sample(requests(problem, 4))
    assert {s.key: s.code for s in again} == {s.key: s.code for s in samples}  # seeds count


def test_what_the_server_ignores_without_a_word(served: Served, problem: Problem) -> None:
    """It reads neither `n` nor `logprobs`."""
    tested = served.policy(n_per_request=3, logprobs=True)
    samples = list(tested.sample(requests(problem, 3)))
    assert len(samples) == 3
    assert {sample.logprob for sample in samples} == {None}
    assert tested.stats().requests == 3


def test_answers_that_are_cut_off(served: Served, problem: Problem) -> None:
    tested = served.policy(max_tokens=3)
    (sample,) = tested.sample(requests(problem, 1))
    assert (sample.finish, sample.completion_tokens) == ("length", 3)
    assert tested.stats().cut_off == 1


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_continuations(served: Served, problem: Problem, endpoint: str) -> None:
    """It refuses to continue a message, so prefixes are continued as raw text."""
    prefix = 'def solve(xs):\n    """Solve."""\n'
    tested = served.policy(endpoint=endpoint)
    samples = list(tested.sample(requests(problem, 2, prefix)))
    assert len(samples) == 2
    assert all(s.kept and s.code.startswith(prefix) and s.code != prefix for s in samples)
    with pytest.raises(PolicyError, match="set continuation to"):
        list(served.policy(continuation="prefill").sample(requests(problem, 1, prefix)))


def test_another_model(served: Served, problem: Problem) -> None:
    with pytest.raises(PolicyError, match="offers no model"):
        list(served.policy(model="other").sample(requests(problem, 2)))


def test_a_problem_is_solved(
    served: Served, problem: Problem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "statement.txt").write_text(problem.statement)
    assert problem.public is not None
    command = ["solve", str(tmp_path / "statement.txt"), "--entry-point", "solve", "-n", "4"]
    for case in problem.public.cases:
        command += ["--example", f"[{case.input}]", str(case.output)]
    settings = {"name": "openai_api", "model": served.model, "base_url": served.url}
    settings |= {"prompt": "statement", "max_tokens": "96"}
    command += [
        part for key, value in settings.items() for part in ("--set", f"policy.{key}={value}")
    ]
    assert main([*command, "--set", "executor.workers=1"]) == 0
    assert capsys.readouterr().out.startswith("def solve(")
