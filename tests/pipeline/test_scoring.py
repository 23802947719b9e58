"""Scorers of a configuration: stored like trained models' scores, and selected by."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from funprm.config import parse_config
from funprm.errors import ConfigError, DataError
from funprm.interfaces import PaidScores
from funprm.pipeline.stages import run_all
from funprm.records import Json, LabelledProgram, Score
from funprm.scorers.saved_prm import SavedPrm
from funprm.store import read_records
from tests.models import save_prm
from tests.pipeline.conftest import Quiet
from tests.pipeline.test_changes import accuracies, run
from tests.pipeline.world import World, fast

__all__ = ["fast"]


class Liking:
    """Likes programs that return a number; counts how often it was asked."""

    transport: ClassVar[frozenset[str]] = frozenset({"device"})
    asked: ClassVar[list[str]] = []
    broken: ClassVar[bool] = False

    def __init__(self, number: int = 1, device: str = "cpu", kind: str = "whole") -> None:
        self.number, self.kind = number, kind

    def identity(self) -> Mapping[str, Json]:
        return {"number": self.number, "kind": self.kind}

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...] | None]:
        for program in programs:
            self.asked.append(program.generation)
            liked = 0.9 if f"return {self.number}" in program.steps[-1] else 0.2
            if self.kind == "whole":
                yield None if self.broken else PaidScores([liked], tokens=10, cost=0.5)
            else:
                yield {"steps": (0.5,) * (len(program.steps) - 1) + (liked,)}.get(self.kind, (3.0,))


NAME = f"{__name__}:Liking"


@pytest.fixture
def world(tmp_path: Path, fast: None) -> World:
    Liking.asked.clear()
    Liking.broken = False
    world = World(tmp_path / "world")
    world.settings["scorers"] = {"ones": {"name": NAME}, "twos": {"name": NAME, "number": 2}}
    return world


def test_programs_are_selected_by_scorers(world: World, tmp_path: Path) -> None:
    _, summary = run(world, tmp_path / "run")
    names = list(accuracies(summary))
    scored = ["score:ones", "score:twos", "public_tests+score:ones", "public_tests+score:twos"]
    assert [name for name in names if "score" in name] == scored
    assert "ones" in summary["settings"]["scorers"]
    costs = next(c for c in summary["costs"] if c["stage"] == "score")
    programs = len(Liking.asked)
    assert (costs["tokens"], costs["money"]) == (10 * programs, 0.5 * programs)


def test_scores_are_stored_and_found_again(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "run")
    asked = len(Liking.asked)
    world.settings["scorers"]["ones"]["device"] = "cuda"
    again, _ = run(world, tmp_path / "run")
    assert (again.worked, len(Liking.asked)) == (["report"], asked)
    world.settings["scorers"]["twos"]["number"] = 0
    again, _ = run(world, tmp_path / "run")
    assert again.worked[0] == "score"
    assert len(Liking.asked) == asked + asked // 2


def test_a_fault_is_no_score_and_is_asked_again(world: World, tmp_path: Path) -> None:
    Liking.broken = True
    told, summary = run(world, tmp_path / "run")
    assert any("programs have no score (faults" in p for p in summary["missing"]["score"])
    assert not list(read_records(tmp_path / "run" / "scores.jsonl", Score))
    Liking.broken = False
    _, summary = run(world, tmp_path / "run")
    assert "score" not in summary["missing"]


def test_step_scores_and_whole_scores_stand_side_by_side(world: World, tmp_path: Path) -> None:
    world.settings["scorers"]["steps"] = {"name": NAME, "kind": "steps"}
    run(world, tmp_path / "run")
    found = {s.model: s.scores for s in read_records(tmp_path / "run" / "scores.jsonl", Score)}
    assert {name: len(scores) for name, scores in found.items()} == {
        "ones": 1,
        "twos": 1,
        "steps": 2,
    }


def test_scores_that_are_logits_are_refused(world: World, tmp_path: Path) -> None:
    world.settings["scorers"] = {"raw": {"name": NAME, "kind": "logits"}}
    with pytest.raises(DataError, match=r"'raw' gave the score 3.0, which is not in \[0, 1\]"):
        run(world, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": {"ones": {}}}, "'ones' is in .models. and in .scorers."),
        ({"scorers": {"a+b": {"name": NAME}}}, "scorer name 'a"),
        ({"scorers": {"a": {"name": "sequence_clasifier"}}}, "did you mean 'sequence_classifier'"),
        ({"scorers": {"a": {"name": NAME, "size": 3}}}, "scorer .* has no setting 'size'"),
        ({"select": {"selectors": ["random", "score:one"]}}, "did you mean 'ones'"),
    ],
)
def test_wrong_settings_are_refused_at_the_start(
    world: World, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(world, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_a_saved_reward_model_is_a_scorer(
    replayed: dict[str, Any], progress: Quiet, tmp_path: Path
) -> None:
    reading = {"rule": 1, "max_steps": 12, "aggregator": "last"}
    folder = save_prm(tmp_path / "model", reading=reading)
    replayed["scorers"] = {"ours": {"name": "prm", "folder": str(folder), "device": "cpu"}}
    run_all(parse_config(replayed), progress)
    summary = json.loads((Path(replayed["output"]) / "summary.json").read_text())
    assert {"score:ours", "public_tests+score:ours"} <= set(accuracies(summary))
    assert SavedPrm(str(folder)).aggregator == "last"
    assert SavedPrm(str(save_prm(tmp_path / "other"))).aggregator == ""
