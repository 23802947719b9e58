"""A real model behind a server of others: `python -m llama_cpp.server` with a GGUF file.

    FUNPRM_LLAMA_PYTHON=ENVIRONMENT/bin/python FUNPRM_REAL_MODEL=FOLDER pytest -m slow FILE

The environment has `llama-cpp-python[server]`; the folder has `model.gguf`, an instruction model.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funprm.cli import main
from funprm.datasets.single import problem_of
from funprm.interfaces import Request, Sample
from funprm.policies.openai.policy import OpenAIPolicy
from funprm.records import Problem, key_of, seed_of
from tests.policies.openai.processes import wait_for

PYTHON = os.environ.get("FUNPRM_LLAMA_PYTHON", "")
GGUF = Path(os.environ.get("FUNPRM_REAL_MODEL", "")) / "model.gguf"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (PYTHON and GGUF.is_file()),
        reason="needs FUNPRM_LLAMA_PYTHON, which has llama-cpp-python[server], and "
        "FUNPRM_REAL_MODEL, a folder with model.gguf",
    ),
]
STARTED_IN = 300.0
"""Seconds that the server may take to load the model."""

SERVER = """
import runpy
import llama_cpp
from llama_cpp import llama_cpp as library

default = library.llama_model_default_params

def params():  # without AMX kernels, which end in a segmentation fault on some processors
    found = default()
    found.use_extra_bufts = False
    return found

library.llama_model_default_params = llama_cpp.llama_model_default_params = params
runpy.run_module("llama_cpp.server", run_name="__main__")
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "-c", SERVER, "--model", str(GGUF), "--port", str(port), "--n_threads", "1"]
    command += ["--host", "127.0.0.1", "--n_ctx", "1024", "--logits_all", "true"]
    log = tmp_path_factory.mktemp("llama") / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", process, log, STARTED_IN)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def problem() -> Problem:
    fields = {"entry_point": "add", "tests": [{"input": [1, 2], "output": 3}]}
    return problem_of("Write a function `add(a, b)` that returns the sum.", fields, "here")


def policy(url: str, **settings: Any) -> OpenAIPolicy:
    settings = {"prompt": "plain", "temperature": 0.8, "max_tokens": 64, **settings}
    return OpenAIPolicy("local", base_url=url, **settings)


def ask(tested: OpenAIPolicy, problem: Problem, count: int, prefix: str = "") -> list[Sample]:
    requests = [
        Request(
            key=key_of(prefix, index),
            problem=problem,
            index=index,
            seed=seed_of(prefix, index),
            prefix=prefix,
            blank_lines="\n\n" if prefix else "",  # what follows a function, as in a run
        )
        for index in range(count)
    ]
    by_key = {sample.key: sample for sample in tested.sample(requests)}
    return [by_key[request.key] for request in requests]


def test_a_chat_gives_programs_that_follow_from_their_seeds(url: str, problem: Problem) -> None:
    samples = ask(policy(url), problem, 4)
    assert all("def add(" in sample.code and "```" not in sample.code for sample in samples)
    assert all(sample.prompt_tokens > 0 < sample.completion_tokens for sample in samples)
    assert len({sample.text for sample in samples}) > 1
    assert [s.text for s in ask(policy(url), problem, 4)] == [s.text for s in samples]


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_log_probabilities(url: str, problem: Problem, endpoint: str) -> None:
    (sample,) = ask(policy(url, logprobs=True, max_tokens=12, endpoint=endpoint), problem, 1)
    assert sample.logprob is not None
    assert sample.logprob < 0
    assert sample.logprob_tokens == sample.completion_tokens == 12


def test_what_the_server_ignores_without_a_word(url: str, problem: Problem) -> None:
    """It gives one answer where several are wanted: the others are asked for one by one."""
    tested = policy(url, n_per_request=3)
    assert len(ask(tested, problem, 3)) == tested.stats().requests == 3


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_a_prefix_is_continued_as_raw_text(url: str, problem: Problem, endpoint: str) -> None:
    """It does not continue a message, but answers it; the probe finds out."""
    prefix = "def double(x):\n    return 2 * x\n"
    tested = policy(url, endpoint=endpoint)
    samples = ask(tested, problem, 2, prefix)
    assert tested._services[0].dialect.way == "completions"
    assert all(sample.kept and sample.code.startswith(prefix) for sample in samples)
    assert any("def add(" in sample.code for sample in samples)
    assert all("```" not in sample.code for sample in samples)  # the stop sequence ended it


def test_an_answer_gets_the_room_that_the_context_leaves(url: str, problem: Problem) -> None:
    (sample,) = ask(policy(url, max_tokens=1000), problem, 1)
    assert "def add(" in sample.code
    (sample,) = ask(policy(url, max_tokens=1000), problem, 1, prefix="# a b c d\n" * 400)
    assert sample.finish == "length"


def test_a_problem_is_solved(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "statement.txt").write_text("Return the sum of the squares of a list of integers.")
    command = ["solve", str(tmp_path / "statement.txt"), "--entry-point", "squares", "-n", "4"]
    command += [
        "--example",
        "[[1, 2]]",
        "5",
        "--example",
        "[[]]",
        "0",
        "--set",
        "executor.workers=1",
    ]
    settings = {"name": "openai_api", "model": "local", "base_url": url, "max_tokens": "200"}
    settings |= {"prompt": "plain", "temperature": "0.8"}
    for key, value in settings.items():
        command += ["--set", f"policy.{key}={value}"]
    assert main(command) == 0
    assert "def squares(" in capsys.readouterr().out
