"""A wrong program runs few cases more than it takes to see that it is wrong."""

from pathlib import Path

import pytest

from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Status
from tests.executors.conftest import functional, stdin

_CASES = tuple((str(n), str(n + 1)) for n in range(100))
_BODY = "    for _ in range(8000): pass\n    return x + 1 + (x == {wrong})\n"


def _job(kind: str, wrong: int) -> Job:
    body = _BODY.format(wrong=wrong)
    if kind == "stdin":
        code = f"def f(x):\n{body}print(f(int(input())))\n"
        return Job(key=kind, code=code, suite=stdin(*_CASES, seconds=20.0))
    return Job(key=kind, code=f"def f(x):\n{body}", suite=functional(*_CASES, seconds=20.0))


@pytest.mark.parametrize("kind", ["stdin", "functional"])
def test_a_wrong_program_runs_few_cases_more(kind: str) -> None:
    used = {}
    with LocalExecutor(workers=1) as executor:
        executor._start()
        for wrong in (1, -1):
            before = _cpu_of_programs(executor)
            for verdict in executor.judge([_job(kind, wrong)] * 15):
                assert verdict.status is (Status.WRONG_ANSWER if wrong > 0 else Status.PASSED)
                assert len(verdict.results) == (2 if wrong > 0 else 100)
            used[wrong] = _cpu_of_programs(executor) - before
    assert used[1] < 0.6 * used[-1]


def _cpu_of_programs(executor: LocalExecutor) -> float:
    """Clock ticks of all that the zygote has collected."""
    pid = executor._workers[0].pid
    zygote = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    fields = Path(f"/proc/{zygote}/stat").read_text().rpartition(")")[2].split()
    return int(fields[13]) + int(fields[14])


def test_answers_written_otherwise_are_right_all_the_same() -> None:
    cases = tuple((str(n), f"{n}.0") for n in range(30))
    code = "for _ in range(200_000): pass\nprint(int(input()))"
    with LocalExecutor(workers=1) as executor:
        (verdict,) = executor.judge([Job(key="a", code=code, suite=stdin(*cases))])
    assert verdict.passed
    assert len(verdict.results) == 30


def test_all_cases_run_where_all_are_wanted() -> None:
    job = Job(
        key="a", code="print(0)", suite=stdin(*_CASES, seconds=20.0), stop_at_first_failure=False
    )
    with LocalExecutor(workers=1) as executor:
        (verdict,) = executor.judge([job])
    assert len(verdict.results) == 100


def test_a_worker_learns_checksums_and_no_answers() -> None:
    suite = PreparedSuite(stdin(("1", "secret answer"), ("2", "another")), 1.0, compat=False)
    assert "secret" not in str(suite.payload())
    assert all(isinstance(hint, int) for hint in suite.payload()["hints"])
