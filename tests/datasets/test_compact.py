"""Large hidden suites are stored packed, and judged as if they were not."""

import doctest
import json
from pathlib import Path

from funprm import records
from funprm.datasets.livecodebench.dataset import LiveCodeBenchDataset
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Case, Problem, Status, Suite
from funprm.store import encode_line, read_records
from tests.datasets.official_files import livecodebench, packed, write


def large_problem(tmp_path: Path, size: int = 200_000) -> Problem:
    tests = [{"input": f"{'7' * size}\n", "output": f"{size}\n", "testtype": "stdin"}]
    row = livecodebench(private=packed(json.dumps(tests)), public_test_cases="[]")
    (problem,) = LiveCodeBenchDataset(path=write(tmp_path / "rows.jsonl", [row])).load()
    return problem


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(records).failed == 0


def test_large_tests_are_stored_in_a_fraction_of_their_size(tmp_path: Path) -> None:
    problem = large_problem(tmp_path)
    assert problem.hidden.cases == ()
    line = encode_line(problem)
    assert len(line) < 10_000
    (tmp_path / "problems.jsonl").write_bytes(line)
    (stored,) = read_records(tmp_path / "problems.jsonl", Problem)
    assert stored == problem
    (case,) = stored.hidden.unpacked().cases
    assert case == Case(input=f"{'7' * 200_000}\n", output="200000\n")


def test_small_tests_are_stored_as_they_are(tmp_path: Path) -> None:
    problem = large_problem(tmp_path, size=1000)
    assert problem.hidden.packed == ""
    assert problem.hidden.unpacked() is problem.hidden


def test_cases_without_an_answer_can_be_packed() -> None:
    suite = Suite(kind="stdin", cases=(Case(input="é😀" * 50_000), Case(input="", output="")))
    assert suite.compact().unpacked() == suite


def test_packed_suites_are_judged(tmp_path: Path) -> None:
    suite = large_problem(tmp_path).hidden
    codes = {"right": "print(len(input()))", "wrong": "print(1)"}
    jobs = [Job(key=key, code=code, suite=suite) for key, code in codes.items()]
    with LocalExecutor(workers=1) as executor:
        verdicts = {verdict.key: verdict.status for verdict in executor.judge(jobs)}
    assert verdicts == {"right": Status.PASSED, "wrong": Status.WRONG_ANSWER}
