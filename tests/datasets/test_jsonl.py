import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from funprm.datasets._split import Fractions
from funprm.datasets.jsonl import JsonlDataset, read_problem
from funprm.errors import ConfigError, DataError, InputError, RecordError
from funprm.records import Problem
from tests.datasets.official_files import write


def load(path: Path, *rows: Any, **options: Any) -> list[Problem]:
    return list(JsonlDataset(path=write(path / "own.jsonl", rows), **options).load())


def stdin(**changes: Any) -> dict[str, Any]:
    tests = [{"input": "1\n", "output": "2\n", "public": True}, {"input": "2\n", "output": "3\n"}]
    return {"id": "next", "statement": "Print n + 1.", "tests": tests, **changes}


def function(**changes: Any) -> dict[str, Any]:
    tests = [
        {"input": [[1, 2], "é"], "output": None, "public": True},
        {"input": '[]\n"b"', "output": "x"},
    ]
    row = {
        "id": "f",
        "statement": "Do.",
        "entry_point": "f",
        "tests": tests,
        "probes": [[[3], "c"]],
    }
    return {**row, **changes}


def test_a_program_that_reads_standard_input(tmp_path: Path) -> None:
    (problem,) = load(
        tmp_path, stdin(seconds=2, memory_mb=64, difficulty="hard", prelude="import x")
    )
    assert problem.problem_id == "next"
    assert problem.hidden.kind == "stdin"
    assert [(c.input, c.output) for c in problem.hidden.cases] == [("1\n", "2\n"), ("2\n", "3\n")]
    assert (problem.hidden.seconds, problem.hidden.memory_mb) == (2, 64)
    assert problem.hidden.prelude == "import x"
    assert problem.public is not None
    assert [c.input for c in problem.public.cases] == ["1\n"]
    assert problem.probe is None
    assert (problem.split, problem.difficulty) == ("test", "hard")


def test_a_problem_is_named_as_in_records(tmp_path: Path) -> None:
    row = stdin(problem_id="next")
    assert load(tmp_path, row) == load(tmp_path, stdin())
    del row["id"]
    assert load(tmp_path, row) == load(tmp_path, stdin())


def test_a_function_takes_lists_of_arguments_or_lines_of_json(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, function())
    assert problem.hidden.kind == "functional"
    assert problem.hidden.entry_point == "f"
    assert [(c.input, c.output) for c in problem.hidden.cases] == [
        ('[1,2]\n"é"', "null"),
        ('[]\n"b"', '"x"'),
    ]
    assert problem.probe is not None
    assert [(c.input, c.output) for c in problem.probe.cases] == [('[3]\n"c"', None)]


def test_code_as_tests(tmp_path: Path) -> None:
    check = "def check(candidate):\n    assert candidate(1) == 2\n"
    (problem,) = load(tmp_path, function(check=check))
    assert problem.hidden.kind == "check"
    assert problem.hidden.code == check
    assert problem.hidden.cases == ()
    assert problem.public is not None
    assert (problem.public.kind, len(problem.public.cases)) == ("functional", 2)
    (problem,) = load(tmp_path, {"id": "u", "statement": "Do.", "unittest": "class TestCases: ..."})
    assert problem.hidden.kind == "unittest"
    assert problem.public is None


def test_a_row_may_name_its_split(tmp_path: Path) -> None:
    rows = [stdin(id="a", split="meta"), stdin(id="b")]
    problems = load(tmp_path, *rows, split=Fractions(rest="train"))
    assert [problem.split for problem in problems] == ["meta", "train"]


def test_keys_follow_texts_and_tests_but_not_limits(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, stdin())
    assert load(tmp_path, stdin(seconds=9, split="train"))[0].key == problem.key
    for change in ({"statement": "Print."}, {"id": "x"}, {"prelude": "import x"}):
        assert load(tmp_path, stdin(**change))[0].key != problem.key
    other = [{"input": "1", "output": "2"}]
    assert load(tmp_path, stdin(tests=other))[0].key != problem.key


def test_folders_and_compressed_files_and_blank_lines(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl.gz", [stdin(id="b")])
    (tmp_path / "a.jsonl").write_text(f"\n{json.dumps(stdin(id='a'))}\n\n")
    problems = list(JsonlDataset(path=str(tmp_path)).load())
    assert [problem.problem_id for problem in problems] == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (stdin(id=""), "own.jsonl:1: a problem without `problem_id`"),
        (stdin(problem_id="x"), "own.jsonl:1: `problem_id` 'x' and `id` 'next' mean the same"),
        ({"id": "x"}, "own.jsonl:1: Object missing required field `statement`"),
        (stdin(statement=5), r"own.jsonl:1: Expected `str`, got `int` - at `\$.statement`"),
        (stdin(statment="x"), "own.jsonl:1: .*`statment`: did you mean 'statement'?"),
        (stdin(tests=[{"inputs": ""}]), r"unknown field `inputs`.*: did you mean 'input'?"),
        (stdin(tests=[{"input": "", "output": "", "id": 1}]), r"unknown field `id`.*: known are"),
        (stdin(split="tests"), r"own.jsonl:1: Invalid enum value 'tests' - at `\$.split`"),
        (stdin(difficulty="hrad"), r"own.jsonl:1: Invalid enum value 'hrad'"),
        ([1], "own.jsonl:1: Expected `object`, got `array`"),
    ],
)
def test_a_line_that_is_no_problem_is_named_by_place_and_field(
    tmp_path: Path, row: Any, message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        load(tmp_path, row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (stdin(tests=[]), "problem 'next': has no tests: give `tests`, `check` or `unittest`"),
        (stdin(check="x"), "problem 'next': `check` needs `entry_point`"),
        (function(check="x", unittest="y"), "problem 'f': has both"),
        (
            stdin(tests=[{"input": [1], "output": "2"}]),
            r"the input \[1\] of a test: expected a text",
        ),
        (stdin(tests=[{"input": "1", "output": 2}]), "the output 2 of a test is no text"),
        (function(tests=[{"input": 5, "output": 2}]), "the input 5 .*expected a list of arguments"),
        (function(probes=[{}]), "the input {} .*expected a list of arguments"),
    ],
)
def test_a_problem_that_cannot_be_judged_is_named(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"own.jsonl:1: .*{message}"):
        load(tmp_path, row)


def test_what_is_no_json_is_named_by_place(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    good = json.dumps(stdin()).encode() + b"\n"
    for bad in (b'{"id": "x"', b"nonsense", b'{"id": "\xff"}', b"\x00"):
        path.write_bytes(good + bad + b"\n")
        with pytest.raises(RecordError, match="own.jsonl:2: [^\n]*$"):
            list(JsonlDataset(path=str(path)).load())


def test_damaged_gzip_data_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(
        b"".join(json.dumps(stdin(id=str(i))).encode() + b"\n" for i in range(99))
    )
    path = tmp_path / "own.jsonl.gz"
    for data in (whole[:-9], whole[:40] + b"\xff" * 20 + whole[60:]):
        path.write_bytes(data)
        with pytest.raises(RecordError, match=r"own.jsonl.gz:\d+: the file is damaged or cut off"):
            list(JsonlDataset(path=str(path)).load())


def test_an_excluded_problem_that_is_not_there_is_named_after_the_last_row(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", [stdin(id="near/1"), stdin(id="near/2")])
    assert len(list(JsonlDataset(path=str(tmp_path), exclude=("near/2",)).load())) == 1
    problems = JsonlDataset(path=str(tmp_path), exclude=("near/2", "naer/1")).load()
    assert next(problems).problem_id == "near/1"
    with pytest.raises(ConfigError, match="exclude: .*'naer/1': did you mean 'near/1'"):
        next(problems)


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        list(JsonlDataset(path=str(tmp_path / "none.jsonl")).load())
    with pytest.raises(InputError, match="no .*jsonl.* in the folder"):
        list(JsonlDataset(path=str(tmp_path)).load())
    with pytest.raises(DataError, match="no problems of one's own in"):
        load(tmp_path)


def test_one_problem_is_read_from_a_text_as_from_a_file(tmp_path: Path) -> None:
    for row in (stdin(split="meta"), function()):
        assert [read_problem(json.dumps(row).encode(), "here")] == load(tmp_path, row)
    with pytest.raises(DataError, match="here: problem 'next': has no tests"):
        read_problem(json.dumps(stdin(tests=[])).encode(), "here")


def test_problems_are_chosen_and_split_by_date(tmp_path: Path) -> None:
    rows = [stdin(id=str(month), date=f"2025-0{month}-01") for month in range(1, 6)]
    options = {"train_before": "2025-03-01", "test_from": "2025-04-01", "split": "train"}
    found = load(tmp_path, *rows, stdin(id="own", split="meta"), exclude=("5",), **options)
    assert [(p.problem_id, p.split) for p in found] == [
        *(("1", "train"), ("2", "train"), ("4", "test"), ("own", "meta")),
    ]
    with pytest.raises(DataError, match=r"in the window 2026-01-01 to end that are hard: widen"):
        load(tmp_path, *rows, start_date="2026-01-01", difficulties=("hard",))
