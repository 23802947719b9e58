"""The shipped configuration at its smallest: every stage, with the tiny model and all modes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from funprm.config import RunConfig, load_config
from funprm.errors import PolicyError
from funprm.interfaces import Sample
from funprm.pipeline import stages
from funprm.pipeline.stages import demo_config, run_all
from funprm.policies.huggingface.policy import HuggingFacePolicy
from tests.pipeline.conftest import Quiet

SMALL = {
    "dataset.train": 6,
    "dataset.meta": 3,
    "dataset.validation": 3,
    "dataset.test": 4,
    "generate.n": 4,
    "rollout.k": 2,
    "executor.workers": 1,
    "train.epochs": 1.0,
    "train.warmup_epochs": 0.5,
    "train.device": "cpu",
    "select.bootstrap": 100,
    "policy.batch": 16,
}


def small(folder: Path, **changes: Any) -> RunConfig:
    return load_config(demo_config("demo"), {**SMALL, "output": str(folder), **changes})


def summary(folder: Path) -> Any:
    return msgspec.json.decode((folder / "summary.json").read_bytes())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_all(small(folder), Quiet())
    return folder


def test_the_report_adds_to_the_models_cards(finished: Path) -> None:
    card = (finished / "prm" / "funprm" / "model" / "README.md").read_text()
    assert "from `tiny` on steps, clean outcomes, posterior, pairs" in card
    assert "6 train, 3 meta, 3 validation, 4 test. No problem is in two splits." in card
    row = next(r for r in summary(finished)["table"] if r["selector"] == "score:funprm")
    assert f"| FunPRM | 4 | {100 * row['accuracy']['estimate']:.1f} [" in card
    assert "PRM, joint" not in card
    assert "judged by `local`" in card
    assert 'license: "apache-2.0"' in card
    assert str(finished.parent) not in card
    again = Quiet()
    run_all(small(finished), again)
    assert again.worked == []


def test_every_stage_leaves_its_results(finished: Path) -> None:
    found = summary(finished)
    names = {row["selector"] for row in found["table"]}
    models = ("orm", "orm-pairs", "prm", "joint", "table", "funprm")
    assert {"random", *(f"score:{model}" for model in models), "oracle"} <= names
    assert found["highlight"] == "score:funprm"
    assert {c["selector"] for c in found["contrasts"]} == names - {"score:funprm"}
    assert (finished / "report.html").stat().st_size > 10_000
    lines = (finished / "rewards.jsonl").read_text().splitlines()
    rewards = [json.loads(line) for line in lines]
    assert any(r.get("n", 0) == 2 for r in rewards)
    measured = {r["prefix"] for r in rewards if r.get("n") and not r.get("final")}
    for model in ("table", "funprm"):
        corrected = finished / "prm" / model / "corrected.jsonl"
        assert len(corrected.read_text().splitlines()) == len(measured)


def test_killed_while_sampling_and_started_again(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, answered = HuggingFacePolicy.sample, 0

    def failing(self: HuggingFacePolicy, requests: Any) -> Any:
        nonlocal answered
        for sample in answer(self, requests):
            answered += 1
            if answered == 37:
                raise PolicyError("killed")
            yield sample

    monkeypatch.setattr(HuggingFacePolicy, "sample", failing)
    with pytest.raises(PolicyError):
        run_all(small(tmp_path / "run"), Quiet())
    stored = (tmp_path / "run" / "generations.jsonl").read_text().count('"completion_tokens"')
    assert stored == 36  # all that was answered
    run_all(small(tmp_path / "run"), Quiet())
    assert (tmp_path / "run" / "table.txt").read_text() == (finished / "table.txt").read_text()


def test_answers_that_are_missing_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = HuggingFacePolicy.sample

    def forgetful(self: HuggingFacePolicy, requests: Any) -> Any:
        samples: list[Sample] = list(answer(self, requests))
        yield from samples[1:]

    monkeypatch.setattr(HuggingFacePolicy, "sample", forgetful)
    with pytest.raises(PolicyError, match="were not answered"):
        run_all(small(tmp_path / "run", models={}), Quiet())
    monkeypatch.undo()
    stages.run_stage(small(tmp_path / "run", models={}), Quiet(), "generate")


def test_a_local_model_writes_in_several_chats(tmp_path: Path) -> None:
    config = small(
        tmp_path / "run",
        **{"generate.n": 2, "policy.prompt": "refactored", "policy.max_tokens": 12},
    )
    for stage in ("load", "generate"):
        stages.run_stage(config, Quiet(), stage)
    generations, drafts = (
        [json.loads(line) for line in (tmp_path / "run" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("generations", "drafts")
    )
    assert len(generations) == len(drafts) == 2 * (6 + 3 + 3 + 4)
    assert all(row["completion_tokens"] > 12 for row in generations if row.get("drafts"))
    assert sum(bool(row.get("drafts")) for row in generations) > 16
