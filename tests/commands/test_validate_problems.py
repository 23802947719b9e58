"""`funprm validate-problems`: usable means that the judge would take the tests."""

from pathlib import Path
from typing import Any

import pytest

from funprm.cli import main
from funprm.commands.validate_problems import validate_problems
from funprm.errors import DataError, InputError
from tests.commands.conftest import write


def row(name: str, **changes: Any) -> dict[str, Any]:
    tests = [{"input": [1], "output": 2, "public": True}]
    made = {"problem_id": name, "statement": "Next.", "entry_point": "f", "tests": tests}
    return {**made, **changes}


def test_what_is_there_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("a", split="train"), row("b", reference="x", probes=[[5]])]
    assert main(["validate-problems", str(write(tmp_path / "own.jsonl", *rows))]) == 0
    assert capsys.readouterr().out == (
        "2 problems, all usable (1 train, 1 test): 2 with public tests, 1 with probes, 1 with a "
        "reference\n"
    )


def test_what_no_program_could_be_judged_by_is_named(tmp_path: Path) -> None:
    for changed, message in (
        ({"tests": [{"input": "[", "output": 1}]}, "'b': hidden tests: input of case 0 is not"),
        ({"check": "x = 1"}, "'b': hidden tests: the code of a check suite must define check"),
        ({"seconds": 0}, "'b': hidden tests: limits must be positive"),
        ({"probes": ["["]}, "'b': probe tests: input of case 0 is not one JSON value per line"),
    ):
        path = write(tmp_path / "own.jsonl", row("a"), row("b", **changed))
        with pytest.raises(DataError, match=message):
            validate_problems(str(path))


def test_ids_are_unique_and_files_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "own.jsonl", row("a"), row("a"))
    with pytest.raises(DataError, match="two problems have the id 'a'"):
        validate_problems(str(path))
    path.write_text("")
    for place in (path, tmp_path / "none", tmp_path / "none.jsonl"):
        with pytest.raises(InputError):
            validate_problems(str(place))
