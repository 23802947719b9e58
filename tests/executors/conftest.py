"""One judge for all tests of a module, and short ways to use it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Case, Suite, Verdict

Judge = Callable[..., Verdict]


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=2) as executor:
        yield executor


def suite_of(kind: str, *pairs: tuple[str, str | None], **options: object) -> Suite:
    cases = tuple(Case(input=i, output=o) for i, o in pairs)
    return Suite(kind=kind, cases=cases, **{"seconds": 1.0, **options})  # type: ignore[arg-type]


def stdin(*pairs: tuple[str, str | None], **options: object) -> Suite:
    return suite_of("stdin", *pairs, **options)


def functional(*pairs: tuple[str, str | None], **options: object) -> Suite:
    return suite_of("functional", *pairs, **{"entry_point": "f", **options})


def check(code: str, **options: object) -> Suite:
    body = "def check(candidate):\n" + "\n".join("    " + line for line in code.splitlines())
    return suite_of("check", **{"entry_point": "f", "code": body, **options})


def unittests(code: str, **options: object) -> Suite:
    head = "import unittest\nclass TestCases(unittest.TestCase):\n"
    body = head + "\n".join("    " + line for line in code.splitlines())
    return suite_of("unittest", **{"code": body, "seconds": 10.0, **options})


@pytest.fixture
def judge(executor: LocalExecutor) -> Judge:
    """Judge one program: `judge(code, suite, stop=True)`."""

    def one(code: str, suite: Suite, stop: bool = True) -> Verdict:
        job = Job(key="one", code=code, suite=suite, stop_at_first_failure=stop)
        (verdict,) = executor.judge([job])
        return verdict

    return one


def count_processes() -> int:
    """Processes of this test run's judges: workers, warm parents and programs."""
    return len([p for p in os.listdir("/proc") if p.isdecimal() and _is_ours(p)])


def _is_ours(pid: str) -> bool:
    try:
        return f'"parent": {os.getpid()},'.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
