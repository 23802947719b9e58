"""Judging from files."""

import json
from pathlib import Path

import pytest

from funprm.errors import DataError
from funprm.executors.files import FileJudge
from funprm.executors.local.executor import LocalExecutor

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


def statuses(out: Path) -> dict[str, str]:
    return {v["key"]: v["status"] for v in map(json.loads, out.read_text().splitlines())}


def test_programs_in_files_are_judged_once_each(executor: LocalExecutor, tmp_path: Path) -> None:
    codes = ["def f(x): return x + 1", "def f(x): return x", "def f(x): return x + 1", "f = ("]
    rows = [{"key": f"k{i}", "problem_id": "p", "code": c, "x": 1} for i, c in enumerate(codes)]
    problems = write(tmp_path / "problems.jsonl", PROBLEM)
    programs = write(tmp_path / "programs.jsonl", *rows[:2])
    out = tmp_path / "verdicts.jsonl"
    judged = FileJudge(executor=executor).judge(problems, programs, out)
    assert judged == {"passed": 1, "wrong answer": 1}
    write(programs, *rows)
    judged = FileJudge(executor=executor).judge(problems, programs, out)
    assert judged == {"passed": 1, "runtime error": 1}
    assert statuses(out) == {
        "k0": "passed",
        "k1": "wrong answer",
        "k2": "passed",
        "k3": "runtime error",
    }
    public = FileJudge(executor=executor, suite="public").judge(problems, programs, out)
    assert public == {"no suite": 4}


def test_a_killed_call_goes_on(executor: LocalExecutor, tmp_path: Path) -> None:
    rows = [{"key": f"k{i}", "problem_id": "p", "code": f"f = {i}"} for i in range(4)]
    problems = write(tmp_path / "problems.jsonl", PROBLEM)
    programs = write(tmp_path / "programs.jsonl", *rows)
    out = tmp_path / "verdicts.jsonl"
    FileJudge(executor=executor).judge(problems, programs, out)
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) * 2 // 3])  # torn in the middle of a line
    progress = Steps()
    judged = FileJudge(executor=executor, progress=progress).judge(problems, programs, out)
    assert judged == {"runtime error": 2}
    assert (progress.total, progress.done) == (4, 4)
    assert statuses(out) == {f"k{i}": "runtime error" for i in range(4)}


class Steps:
    """Progress that counts."""

    total = done = 0

    def start(self, stage: str, total: int, done: int = 0) -> None:
        self.total, self.done = total, done

    def advance(self, count: int = 1) -> None:
        self.done += count

    def finish(self, note: str) -> None:
        raise AssertionError(note)


def test_a_bad_record_costs_only_its_own_verdicts(executor: LocalExecutor, tmp_path: Path) -> None:
    def problem(name: str, **hidden: object) -> dict[str, object]:
        return {**PROBLEM, "problem_id": name, "hidden": {**PROBLEM["hidden"], **hidden}}  # type: ignore[dict-item]

    problems = write(
        tmp_path / "problems.jsonl",
        PROBLEM,
        problem("no tests", cases=[]),
        problem("malformed", cases=[{"input": "{oops", "output": "2"}]),
        problem("unknown kind", kind="telepathy"),
        {"no": "problem"},
    )
    good = "def f(x): return x + 1"
    codes = {
        "good": ("p", good),
        "untested": ("no tests", good),
        "badly tested": ("malformed", good),
        "of unknown kind": ("unknown kind", good),
        "stray": ("q", good),
        "large": ("p", f"{good}  # {'x' * 10_000_000}"),
        "nul": ("p", good + "\0"),
        "last": ("p", good + "\n"),
    }
    rows = [{"key": k, "problem_id": p, "code": c} for k, (p, c) in codes.items()]
    programs = write(tmp_path / "programs.jsonl", rows[0], {"key": "no code"}, *rows[1:])
    out = tmp_path / "verdicts.jsonl"
    lines: list[str] = []
    for _ in range(2):  # what was not judged is tried again, and stored once
        lines.clear()
        counts = FileJudge(executor=executor, warn=lines.append).judge(problems, programs, out)
        assert (counts["not judged"], counts["unreadable"]) == (4, 1)
    assert statuses(out) == {
        "good": "passed",
        "untested": "not judged",
        "badly tested": "not judged",
        "of unknown kind": "not judged",
        "stray": "not judged",
        "large": "passed",
        "nul": "runtime error",
        "last": "passed",
    }
    assert len(out.read_text().splitlines()) == 8
    for words in (
        ("'untested'", "at least one case"),
        ("'badly tested'", "case 0", "JSON"),
        ("'of unknown kind'", "problems.jsonl:4", "telepathy"),
        ("problems.jsonl:5", "not a problem"),
        ("'stray'", "'q'"),
        ("programs.jsonl:2", "code"),
    ):
        assert any(all(word in line for word in words) for line in lines), (words, lines)


def test_absent_files_are_named(executor: LocalExecutor, tmp_path: Path) -> None:
    problems = write(tmp_path / "problems.jsonl", PROBLEM)
    with pytest.raises(DataError, match="absent"):
        FileJudge(executor=executor).judge(problems, tmp_path / "absent.jsonl", tmp_path / "out")
