import json
from pathlib import Path
from typing import Any

import pytest

from funprm.datasets.combined import CombinedDataset
from funprm.errors import ConfigError, DataError
from funprm.pipeline.run import Run
from funprm.registry import build
from funprm.testing.datasets import examine_dataset


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
