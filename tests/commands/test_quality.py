import json
from pathlib import Path
from typing import Any

import pytest

from funprm.cli import main
from funprm.commands.quality import quality
from funprm.errors import ConfigError, DataError
from tests.shared_data import shared

SHORT = "def solve(x):\n    return x\n"
LONG = 'def solve(x):\n    """x."""\n    if x:\n        return x\n    return 0\n'


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows(
    code: str, model: str, passed: bool | None = True, count: int = 12
) -> list[dict[str, Any]]:
    return [
        {"task_id": f"t{i}", "code": code, "model": model, "passed": passed} for i in range(count)
    ]


def test_groups_are_compared_problem_by_problem(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", [*rows(SHORT, "one"), *rows(LONG, "two", count=11)])
    first, second = quality([file], by="model").groups
    assert (first.name, first.problems, first.programs, first.differences) == ("one", 12, 12, {})
    assert (first.means["lines"], second.means["lines"]) == (2, 4)
    assert second.problems_in_common == 11
    assert second.differences["lines"].estimate == 2
    assert second.differences["documented"].estimate == 1


def test_intervals_are_over_problems(tmp_path: Path) -> None:
    other = [{**row, "code": LONG if i % 2 else SHORT} for i, row in enumerate(rows(SHORT, "two"))]
    file = written(tmp_path / "a.jsonl", [*rows(SHORT, "one"), *other])
    found = quality([file], by="model").groups[1].differences["lines"]
    assert found.estimate == 1
    assert 0 < found.low < 1 < found.high < 2


def test_files_are_groups_and_failing_programs_are_left_out(tmp_path: Path) -> None:
    a = written(tmp_path / "a.jsonl", [*rows(SHORT, "x"), *rows("x = 1", "x", False)])
    b = written(
        tmp_path / "b.jsonl", [*rows(LONG, "x"), *rows("def f(:", "x"), *rows(SHORT, "y", None)]
    )
    table = quality([a, b])
    assert [group.name for group in table.groups] == ["a", "b"]
    assert table.left_out == {
        "that fail": 12,
        "that do not parse": 12,
        "without a verdict (`passed`)": 12,
    }
    assert quality([a], everything=True).groups[0].programs == 24
    assert quality([b], where={"model": "y"}, everything=True).groups[0].means["lines"] == 2


def test_the_command_prints_a_table_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(written(tmp_path / "a.jsonl", [*rows(SHORT, "one"), *rows(LONG, "two")]))
    assert main(["quality", file, "--by", "model"]) == 0
    text = capsys.readouterr().out
    assert "Minus one, by problem" in text
    assert "+2.00 =" in text
    assert main(["quality", file, "--where", "model=two", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"][0]["programs"] == 12


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", rows(SHORT, "one", False))
    with pytest.raises(DataError, match=r"no program to measure .12 that fail.: see --all"):
        quality([file])
    with pytest.raises(ConfigError, match="without the field 'modl'"):
        quality([file], by="modl", everything=True)


def test_recorded_programs_are_measured() -> None:
    (group,) = quality([shared("humaneval_codegen16b.jsonl.gz")]).groups
    assert group.programs > 3000
    assert 0.9 < (group.means["functions"] or 0) < 2
