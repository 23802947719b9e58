import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from funprm.datasets.combined import CombinedDataset
from funprm.errors import ConfigError, DataError, StoreError
from funprm.records import Problem
from funprm.registry import build
from funprm.store import RunFolder
from funprm.testing.datasets import check_dataset


def problems(path: Path, *names: str, split: str | None = None) -> str:
    rows = [
        {"problem_id": name, "statement": name, "tests": [{"input": "", "output": ""}]}
        | ({"split": split} if split else {})
        for name in names
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, dict[str, Any]]:
    return {
        "old": {
            "name": "jsonl",
            "path": problems(tmp_path / "old.jsonl", "a", "b", "c"),
            "split": "train",
        },
        "new": {"name": "jsonl", "path": problems(tmp_path / "new.jsonl", "d", "e")},
    }


def load(parts: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    dataset = build("datasets", "combined", {"parts": parts})
    return [(problem.problem_id, problem.split) for problem in dataset.load()]


def test_problems_come_part_after_part_with_the_splits_of_their_parts(
    parts: dict[str, dict[str, Any]],
) -> None:
    assert load(parts) == [
        ("a", "train"), ("b", "train"), ("c", "train"), ("d", "test"), ("e", "test"),
    ]  # fmt: skip


def test_a_larger_number_only_adds_problems(parts: dict[str, dict[str, Any]]) -> None:
    parts["new"]["at_most"] = {"test": 0}
    loaded = []
    for most in (1, 2, 9):
        parts["old"]["at_most"] = {"train": most}
        loaded.append([name for name, _ in load(parts)])
    assert loaded == [["a"], ["a", "b"], ["a", "b", "c"]]


def test_it_keeps_what_a_data_set_promises(parts: dict[str, dict[str, Any]]) -> None:
    check_dataset(build("datasets", "combined", {"parts": parts}), references=0)


def test_its_identity_follows_files_and_numbers_and_not_places(
    parts: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    before = build("datasets", "combined", {"parts": parts}).identity()
    Path(parts["old"]["path"]).rename(tmp_path / "moved.jsonl")
    parts["old"]["path"] = str(tmp_path / "moved.jsonl")
    assert build("datasets", "combined", {"parts": parts}).identity() == before
    parts["old"]["at_most"] = {"train": 2}
    assert build("datasets", "combined", {"parts": parts}).identity() != before


class Silent:
    """A data set that does not say what determines its problems."""

    problem = Problem.of("Add.", entry_point="f", hidden=[((1,), 2)])

    def load(self) -> Iterator[Problem]:
        yield self.problem


def test_limits_and_splits_of_a_data_set_without_identity_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    combined = CombinedDataset(parts={"one": {"name": f"{__name__}:Silent"}})
    before, problem = combined.identity(), Silent.problem
    slow = replace(problem, hidden=replace(problem.hidden, seconds=60.0))
    for changed in (slow, replace(problem, split="train")):
        monkeypatch.setattr(Silent, "problem", changed)
        assert combined.identity() != before


def test_the_label_names_the_data_set() -> None:
    combined = build("datasets", "combined", {"parts": {"mini": {"at_most": {"train": 1}}}})
    assert [p.split for p in combined.load()].count("train") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "humanevil"}, "humaneval"),
        ({"name": "mini", "trian": 3}, "trian"),
        ({"name": "mini", "at_most": {"tset": 3}}, "at_most"),
        ({"name": "mini", "at_most": {"test": -1}}, "expected 0 or more"),
        ({"name": "combined"}, "'parts'"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build("datasets", "combined", {"parts": {"one": options}})


def test_without_parts_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="no parts"):
        build("datasets", "combined", {"parts": {}})


def test_a_split_that_a_part_does_not_have_is_refused(parts: dict[str, dict[str, Any]]) -> None:
    parts["new"]["at_most"] = {"train": 5}
    with pytest.raises(DataError, match="'new' has no train problem"):
        load(parts)


def test_a_free_table_of_settings_may_change_within_a_folder(tmp_path: Path) -> None:
    def settings(most: int, n: int = 1) -> dict[str, Any]:
        parts = {"old": {"at_most": {"train": most}}}
        return {"dataset": {"options": {"parts": parts}}, "generate": {"n": n}}

    RunFolder(tmp_path, settings(1), free={"dataset.options.parts"}).close()
    RunFolder(tmp_path, settings(2), free={"dataset.options.parts"}).close()
    with pytest.raises(StoreError, match=r"generate\.n"):
        RunFolder(tmp_path, settings(2, n=2), free={"dataset.options.parts"})
