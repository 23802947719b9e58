import json
from pathlib import Path
from typing import Any

import pytest

from funprm.errors import ConfigError, DataError, StoreError
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
