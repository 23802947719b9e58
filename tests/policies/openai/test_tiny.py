"""The tiny model behind an API and in this process: one seed, one program."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from funprm.config import RunConfig, parse_config
from funprm.datasets.mini import MiniDataset
from funprm.pipeline.judging import reward
from funprm.pipeline.run import Run
from funprm.pipeline.stages import run_stage
from funprm.policies.huggingface.policy import HuggingFacePolicy
from funprm.testing.server import Server
from tests.pipeline.conftest import Quiet
from tests.policies.openai.tiny_server import serve_policy

SIZES = {"train": 3, "meta": 0, "validation": 0, "test": 1}
STAGES = ("load", "generate", "segment", "rollout", "execute", "reward")
LOCAL = {"name": "huggingface", "model": "tiny", "max_tokens": 96, "device": "cpu", "batch": 1}


def config(folder: Path, policy: dict[str, Any]) -> RunConfig:
    return parse_config(
        {
            "output": str(folder),
            "dataset": {"name": "mini", **SIZES},
            "policy": policy,
            "executor": {"workers": 1},
            "generate": {"n": 3},
            "rollout": {"k": 2},
        }
    )


@contextmanager
def finished(folder: Path, policy: dict[str, Any]) -> Iterator[Run]:
    """A run up to its rewards."""
    settings = config(folder, policy)
    for name in STAGES:
        run_stage(settings, Quiet(), name)
    with Run(settings, Quiet()) as run:
        reward.require(run)
        yield run


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Asks the model for one program at a time, as its `batch` of 1 does in this process."""
    model = HuggingFacePolicy(model="tiny", max_tokens=96, device="cpu", batch=1)
    with serve_policy(model, MiniDataset(**SIZES).load(), "statement") as running:
        yield running


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with finished(tmp_path_factory.mktemp("local") / "run", LOCAL) as run:
        yield run


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_a_run_through_the_api_gives_the_records_of_a_local_one(
    server: Server, here: Run, endpoint: str, tmp_path: Path
) -> None:
    remote = {
        "name": "openai_api",
        "model": "tiny",
        "base_url": server.url,
        "endpoint": endpoint,
        "continuation": "prefill" if endpoint == "chat" else "completions",
        "prompt": "statement",
        "logprobs": True,
    }
    with finished(tmp_path / "run", remote) as there:
        assert written(there) == written(here)
        assert completed(there) == completed(here)
        assert measured(there) == measured(here)
        assert any(0 < k < n for *_, k, n in measured(here)), "every prefix is hopeless, or safe"


def written(run: Run) -> list[tuple[Any, ...]]:
    """Generations, less what an API does not tell: keys, times, self-certainty."""
    return [
        (g.problem_id, g.index, g.code, g.finish, g.prompt_tokens, g.completion_tokens, g.logprob)
        for g in run.generations.values()
    ]


def completed(run: Run) -> set[tuple[Any, ...]]:
    return {
        (r.problem_id, r.prefix, r.index, r.code, r.kept, r.completion_tokens)
        for r in run.rollouts.values()
    }


def measured(run: Run) -> list[tuple[Any, ...]]:
    place = {key: (g.problem_id, g.index) for key, g in run.generations.items()}
    rewards = ((*place[r.generation], r.step, r.prefix, r.k, r.n) for r in run.rewards)
    return sorted(rewards)
