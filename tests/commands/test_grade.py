"""`funprm grade`: outputs of other tools, in their own forms, judged and compared."""

import gzip
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from funprm.api.runs import grade
from funprm.cli import main
from funprm.errors import ConfigError
from tests.commands.conftest import write
from tests.shared_data import shared

PROBLEMS = [
    {"problem_id": name, "statement": f"Add {n}.", "entry_point": "f",
     "tests": [{"input": [1], "output": 1 + n}]}
    for n, name in enumerate(["a", "b", "c"])
]  # fmt: skip


def adds(number: int) -> str:
    return f"def f(x):\n    return x + {number}\n"


@pytest.fixture
def problems(tmp_path: Path) -> str:
    return str(write(tmp_path / "problems.jsonl", *PROBLEMS))


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """In the form of LiveCodeBench's custom evaluator: two programs each, half of a's pass."""
    rows = [
        {"question_id": "a", "code_list": [adds(0), adds(5)]},
        {"question_id": "b", "code_list": [adds(1), adds(1)]},
        {"question_id": "c", "code_list": [adds(0), adds(0)]},
    ]
    path = tmp_path / "first.json"
    path.write_text(json.dumps(rows))
    return path


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """In the form of lm-eval's logged samples."""
    rows = [
        {"doc_id": n, "doc": {"task_id": p}, "filtered_resps": [[f"```\n{adds(n)}```"]]}
        for n, p in enumerate("abc")
    ]
    return write(tmp_path / "samples_task_2026.jsonl", *rows)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """In the form of EvalPlus and BigCodeBench."""
    rows = [{"task_id": p, "solution": adds(n)} for n, p in enumerate("abc")]
    return write(tmp_path / "second.jsonl", *rows)


def graded(files: list[Path], problems: str, **options: Any) -> Any:
    return grade(files, problems, warn=lambda line: None, **options)


def told(grades: Any) -> list[tuple[str, int, int, dict[int, float]]]:
    return [
        (g.name, g.problems, g.programs, {k: i.estimate for k, i in g.pass_at.items()})
        for g in grades.grades
    ]


def test_files_side_by_side(problems: str, first: Path, second: Path, tmp_path: Path) -> None:
    grades = graded([first, second], problems, tries=[1], out=tmp_path / "verdicts")
    assert told(grades) == [("first", 3, 6, {1: 0.5}), ("second", 3, 3, {1: 1.0})]
    (difference,) = grades.differences
    assert (difference.problems, difference.difference.estimate) == (3, 0.5)
    assert difference.test is None  # one file has several programs per problem
    assert grades.exit_code == 0
    assert (tmp_path / "verdicts" / "first.verdicts.jsonl").exists()
    text = grades.text()
    assert "second against first: +50.0" in text
    again = graded([first, second], problems, tries=[1], out=tmp_path / "verdicts")
    assert [g.judged.reused for g in again.grades] == [6, 3]


def test_pass_at_k_as_far_as_there_are_programs(problems: str, first: Path) -> None:
    grades = graded([first], problems, tries=[1, 2])
    assert told(grades)[0][3] == pytest.approx({1: 0.5, 2: 2 / 3})
    assert list(graded([first], problems).grades[0].pass_at) == [1]
    with pytest.raises(ConfigError, match="one has 2"):
        graded([first], problems, tries=[5])
    with pytest.raises(ConfigError, match="given twice"):
        graded([first, first], problems)
    with pytest.raises(ConfigError, match="at least 1"):
        graded([first], problems, tries=[0])


def test_single_programs_are_compared_exactly(problems: str, second: Path, tmp_path: Path) -> None:
    rows = [{"task_id": p, "solution": adds(0)} for p in "abc"]
    third = write(tmp_path / "third.jsonl", *rows)
    (difference,) = graded([second, third], problems).differences
    assert difference.test is not None
    assert (difference.test.only_first, difference.test.only_second) == (0, 2)


def test_the_verb(
    problems: str, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[Any] = [{"task_id": "a", "solution": adds(0)}, {"task_id": "x", "solution": ""}]
    some = write(tmp_path / "some.jsonl", *rows)
    assert main(["grade", str(first), str(some), "--benchmark", problems, "--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert "pass@1" in out
    assert "some: left out: 1 programs of unknown problems, 2 problems without a program" in out
    assert main(["grade", str(some), "--benchmark", problems, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["files"][0]["pass_at"]["1"]["estimate"] == 1.0
    assert main(["grade", str(first), "--benchmark", "nowhere"]) == 2


@pytest.mark.slow
def test_recorded_samples_of_a_model(tmp_path: Path) -> None:
    with gzip.open(shared("humaneval_codegen16b.jsonl.gz"), "rt") as file:
        rows = [json.loads(line) for line in file]
    wanted = [row for row in rows if row["sample"] < 2 and "numpy" not in row["code"]]
    samples = [{"task_id": row["task_id"], "solution": row["code"]} for row in wanted]
    file_name = write(tmp_path / "samples.jsonl", *samples)
    settings = {"dataset.path": str(shared("humaneval.jsonl.gz"))}
    (found,) = graded([file_name], "humaneval", settings=settings).grades
    passed: dict[str, list[bool]] = {}
    for row in wanted:
        passed.setdefault(row["task_id"], []).append(row["passed"])
    share = fmean(fmean(map(float, of_task)) for of_task in passed.values())
    assert found.problems == 164
    assert found.pass_at[1].estimate == pytest.approx(share)


def test_samples_that_lm_eval_logged_are_graded(logged: Path, problems: str) -> None:
    assert told(graded([logged], problems)) == [("samples_task_2026", 3, 3, {1: 1.0})]


def test_names_keep_their_dots(problems: str, tmp_path: Path) -> None:
    rows = [{"task_id": p, "solution": adds(n)} for n, p in enumerate("abc")]
    files = [write(tmp_path / name, *rows) for name in ("m-4.1.jsonl", "m-4.5.jsonl")]
    whole = tmp_path / "m.json.samples.jsonl"
    whole.write_bytes(files[0].read_bytes())
    grades = graded([*files, whole], problems, out=tmp_path / "out")
    names = [grade.name for grade in grades.grades]
    assert names == ["m-4.1", "m-4.5", "m.json.samples"]
    assert all(grade.pass_at[1].estimate == 1 for grade in grades.grades)


def test_what_does_not_count_is_told(problems: str, tmp_path: Path) -> None:
    """Rows that count once, and files that cannot be compared."""
    row = {"task_id": "a", "solution": adds(0), "key": "k"}
    first = write(tmp_path / "first.jsonl", row, row)
    second = write(tmp_path / "second.jsonl", {"task_id": "b", "solution": adds(1)})
    grades = graded([first, second], problems)
    assert [grade.programs for grade in grades.grades] == [1, 1]
    text = grades.text()
    assert "second against first: no problem in common" in text
    assert "first: left out: 1 repeated rows (the same program under the same key)" in text
