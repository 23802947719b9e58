import doctest
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from funprm.cli import main
from funprm.commands import check_dataset as module
from funprm.commands.check_dataset import Check, check_problems, stub
from funprm.executors.local.executor import LocalExecutor
from funprm.records import Case, Problem, Suite
from tests.shared_data import shared

RIGHT = "def f(x):\n    return x + 1\n"


def row(name: str, reference: str | None = RIGHT, **changes: Any) -> dict[str, Any]:
    tests = [{"input": [1], "output": 2, "public": True}, {"input": [5], "output": 6}]
    made = {"id": name, "statement": "Next.", "entry_point": "f", "tests": tests}
    return {**made, **({} if reference is None else {"reference": reference}), **changes}


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return f"dataset.path={path}"


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(module).failed == 0


def test_a_sound_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        row("a"),
        row("bare", reference=None),
        row("input", "print(int(input()) + 1)", entry_point="", tests=[
            {"input": "1\n", "output": "2\n"},
        ]),
        row("method", "class Solution:\n    def f(self, x):\n        return x + 1\n",
            starter_code="class Solution:\n    def f(self, x):\n        "),
        row("unit", tests=[], unittest=(
            "import unittest\nclass TestCases(unittest.TestCase):\n"
            "    def test(self):\n        self.assertEqual(f(1), 2)\n"
        )),
    ]  # fmt: skip
    setting = write(tmp_path / "own.jsonl", *rows)
    arguments = ["check-dataset", "jsonl", "--set", setting, "--set", "executor.workers=1"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "5 problems, 4 with a reference",
        "references: 4 pass, 0 fail, 0 not judged",
        "stubs: 0 pass (expected none)",
    ]


def test_faults_are_named_and_the_status_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong_in_hidden = "def f(x):\n    return 2\n"
    config = tmp_path / "run.toml"
    rows = [
        row("wrong", wrong_in_hidden),
        row("weak", tests=[{"input": [1], "output": None}], reference="def f(x): pass"),
        row("not json", tests=[{"input": "[", "output": 1}]),
    ]
    setting = write(tmp_path / "own.jsonl", *rows)
    config.write_text('output = "x"\n[dataset]\nname = "jsonl"\n')
    arguments = ["check-dataset", str(config), "--set", setting, "--set", "executor.workers=1"]
    assert main([*arguments, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 3
    assert found["passed"] == 1
    assert list(found["failed"]) == ["wrong"]
    assert found["failed"]["wrong"].startswith("hidden tests: wrong answer (case 1: input")
    assert list(found["not_judged"]) == ["not json"]
    assert found["stubs_passed"] == ["weak"]
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "fails: wrong: hidden tests: wrong answer" in shown
    assert "stub passes: weak" in shown


def test_many_faults_are_counted() -> None:
    faulty = Check(problems=30, failed={str(i): "why" for i in range(30)})
    assert faulty.text().splitlines()[-1] == "... and 10 more; --json lists all"
    assert faulty.exit_code == 1
    weak = Check(problems=30, passed=30, stubs_passed=tuple(map(str, range(30))))
    assert weak.text().splitlines()[-1] == "... and 10 more; --json lists all"
    assert Check(passed=1, not_judged={"a": "no JSON"}).exit_code == 1


def test_nothing_checked_does_not_look_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = write(tmp_path / "own.jsonl", row("a", None), row("b", None)).partition("=")[2]
    arguments = ["check-dataset", bare, "--set", "executor.workers=1"]
    assert main(arguments) == 2
    assert capsys.readouterr().out.splitlines()[-1] == (
        "nothing was checked but stubs: no problem has a reference"
    )
    malformed = [{"input": "[", "output": 1}]
    write(tmp_path / "own.jsonl", row("a", None, tests=malformed), row("b"))
    assert main([*arguments, "--json"]) == 1
    assert list(json.loads(capsys.readouterr().out)["not_judged"]) == ["a"]  # by its stub
    write(tmp_path / "own.jsonl", row("a", tests=malformed))
    assert main(arguments) == 2
    assert "the judge refused every reference" in capsys.readouterr().out
    write(tmp_path / "own.jsonl", row("a"), row("a"))
    assert main(arguments) == 2
    assert "two problems have the id 'a'" in capsys.readouterr().err


def test_what_cannot_be_checked_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["jsonI"], "no file jsonI, and no data set of that name: did you mean 'jsonl'?"),
        (["absent.toml"], "no configuration file at absent.toml"),
        (["."], ". is a folder: expected a file of problems"),
        (["jsonl"], "data set 'jsonl' needs the setting 'path'"),
        (["mini", "--set", "dataset.tests=1"], "data set 'mini' has no setting 'tests'"),
    ):
        assert main(["check-dataset", *arguments]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "entry"),
    [("stdin", ""), ("functional", "f"), ("check", "Solution().f"), ("unittest", "a b")],
)
def test_stubs_are_programs(kind: Any, entry: str) -> None:
    compile(stub(Suite(kind=kind, entry_point=entry)), "stub", "exec")


def test_problems_are_read_as_they_are_judged() -> None:
    read: list[int] = []
    judged: list[int] = []

    def problems() -> Any:
        for number in range(150):
            read.append(number)
            suite = Suite(kind="functional", entry_point="f", cases=(Case(input="1", output="2"),))
            yield Problem(
                key=str(number),
                problem_id=str(number),
                statement="",
                hidden=suite,
                reference=RIGHT if number % 2 else None,
            )

    with LocalExecutor(workers=1) as executor:
        check = check_problems(problems(), executor, lambda n: judged.append(len(read)))
    assert (check.problems, check.without_reference, check.passed) == (150, 75, 75)
    assert judged[0] < 150


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "file", "count"),
    [("humaneval", "humaneval.jsonl.gz", 164), ("mbpp", "mbpp_sanitized.jsonl.gz", 427),
     ("leetcode", "leetcode.jsonl.gz", 200)],
)  # fmt: skip
def test_real_benchmarks_are_sound(
    name: str, file: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shared(file)
    status = main(["check-dataset", name, "--set", f"dataset.path={path}", "--json"])
    found = json.loads(capsys.readouterr().out)
    sys.stderr.write(f"{found}\n")
    assert (status, found["passed"], found["stubs_passed"]) == (0, count, [])
