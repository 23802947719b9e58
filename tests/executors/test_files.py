"""Judging from files."""

import json
from pathlib import Path

import pytest

from funprm.errors import DataError, RecordError
from funprm.executors.files import judge_files
from funprm.executors.local import LocalExecutor

PROBLEM = {
    "key": "p",
    "problem_id": "p",
    "statement": "Add one.",
    "hidden": {
        "kind": "functional",
        "entry_point": "f",
        "cases": [{"input": "1", "output": "2"}],
    },
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_programs_in_files_are_judged_once_each(executor: LocalExecutor, tmp_path: Path) -> None:
    codes = ["def f(x): return x + 1", "def f(x): return x", "def f(x): return x + 1", "f = ("]
    rows = [{"key": f"k{i}", "problem_id": "p", "code": c, "x": 1} for i, c in enumerate(codes)]
    problems = write(tmp_path / "problems.jsonl", PROBLEM)
    programs = write(tmp_path / "programs.jsonl", *rows[:2])
    out = tmp_path / "verdicts.jsonl"
    assert judge_files(problems, programs, out, executor) == {"passed": 1, "wrong answer": 1}
    write(programs, *rows)
    assert judge_files(problems, programs, out, executor) == {"passed": 1, "runtime error": 1}
    verdicts = {v["key"]: v["status"] for v in map(json.loads, out.read_text().splitlines())}
    assert verdicts == {
        "k0": "passed",
        "k1": "wrong answer",
        "k2": "passed",
        "k3": "runtime error",
    }
    assert judge_files(problems, programs, out, executor, suite="public") == {"no suite": 4}


def test_bad_files_are_named(executor: LocalExecutor, tmp_path: Path) -> None:
    problems = write(tmp_path / "problems.jsonl", PROBLEM)
    stray = write(tmp_path / "stray.jsonl", {"key": "k", "problem_id": "q", "code": ""})
    broken = write(tmp_path / "broken.jsonl", {"key": "k"})
    out = tmp_path / "out.jsonl"
    with pytest.raises(DataError, match="'q'"):
        judge_files(problems, stray, out, executor)
    with pytest.raises(RecordError, match=r"broken.jsonl:1"):
        judge_files(problems, broken, out, executor)
    with pytest.raises(DataError, match="absent"):
        judge_files(problems, tmp_path / "absent.jsonl", out, executor)
