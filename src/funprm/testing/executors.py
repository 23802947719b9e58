"""The exam for executors: programs whose verdicts are known, and some that try to get out."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from funprm.interfaces import Executor, Job
from funprm.records import Case, Status, Suite, Verdict
from funprm.testing.exam import Faults, identity_faults, report

_MANY = 400
"""Jobs that must not all be read before the first verdict."""
_ADD = Suite.of([((1, 2), 3), ((2, 2), 4)], entry_point="add")
_SUM = Suite.of([("1 2\n", "3\n"), ("2 2\n", "4\n")])
_CHECK = Suite(kind="check", entry_point="add", code="def check(f):\n    assert f(1, 2) == 3\n")
_UNITTEST = Suite(
    kind="unittest",
    entry_point="add",
    code="import unittest\n\n\nclass TestCases(unittest.TestCase):\n"
    "    def test_sum(self):\n        self.assertEqual(add(1, 2), 3)\n",
)
_RIGHT = "def add(a, b):\n    return a + b\n"
_WRONG = "def add(a, b):\n    return 3\n"
_TRIALS = (
    ("a right function", _ADD, _RIGHT, Status.PASSED),
    ("a wrong function", _ADD, _WRONG, Status.WRONG_ANSWER),
    ("an exception", _ADD, "def add(a, b):\n    return 1 // 0\n", Status.RUNTIME_ERROR),
    ("no Python", _ADD, "def add(a, b", Status.RUNTIME_ERROR),
    ("an endless loop", _ADD, "def add(a, b):\n    while True:\n        pass\n", Status.TIME_LIMIT),
    ("a right program", _SUM, "print(sum(map(int, input().split())))\n", Status.PASSED),
    ("a wrong program", _SUM, "print(3)\n", Status.WRONG_ANSWER),
    ("a right function, check", _CHECK, _RIGHT, Status.PASSED),
    ("a wrong function, check", _CHECK, "def add(a, b):\n    return 4\n", Status.WRONG_ANSWER),
    ("a right function, unittest", _UNITTEST, _RIGHT, Status.PASSED),
    ("a wrong function, unittest", _UNITTEST, "def add(a, b):\n    pass\n", Status.WRONG_ANSWER),
)


def check_executor(executor: Executor, *, isolated: bool = True) -> None:
    """Examine an executor: programs of all kinds, and whether it keeps them in.

    Args:
        executor: what is examined; it is not closed.
        isolated: whether programs must not write outside nor read files of this user. Without
            it programs of others are not to be judged.

    Raises:
        AssertionError: it breaks a promise; all that are broken are listed.
    """
    report(executor, _faults(executor, isolated))


def _faults(executor: Executor, isolated: bool) -> Faults:
    yield from identity_faults(executor)
    yield from _verdict_faults(executor)
    yield from _case_faults(executor)
    yield from _judge_faults(executor)
    yield from _stream_faults(executor)
    if isolated:
        yield from _isolation_faults(executor)


def _job(key: str, suite: Suite, code: str, *, stop: bool = True) -> Job:
    return Job(key=key, code=code, suite=suite, stop_at_first_failure=stop)


def _verdict_faults(executor: Executor) -> Faults:
    jobs = [_job(name, replace(suite, seconds=1.0), code) for name, suite, code, _ in _TRIALS]
    verdicts = list(executor.judge(jobs))
    if sorted(v.key for v in verdicts) != sorted(job.key for job in jobs):
        yield f"{len(jobs)} jobs got {len(verdicts)} verdicts: expected one each, with its key"
    found = {verdict.key: verdict for verdict in verdicts}
    for name, _, _, expected in _TRIALS:
        verdict = found.get(name)
        if verdict is not None and verdict.status is not expected:
            yield f"{name}: {_said(verdict)}; expected {expected.value}"


def _case_faults(executor: Executor) -> Faults:
    """All cases are told where they are asked for; equal outputs have equal digests."""
    probe = Suite(kind="functional", cases=(Case(input="1\n2"),), entry_point="add")
    jobs = [
        _job("all cases", _ADD, "def add(a, b):\n    return 4\n", stop=False),
        _job("one", probe, _RIGHT),
        _job("same", probe, "def add(a, b):\n    return 3\n"),
        _job("other", probe, "def add(a, b):\n    return 4\n"),
    ]
    found = {verdict.key: verdict for verdict in executor.judge(jobs)}
    statuses = [result.status for result in found["all cases"].results]
    if statuses != [Status.WRONG_ANSWER, Status.PASSED]:
        yield f"without stopping at the first failure the cases are {statuses}: expected both"
    digests = [[r.digest for r in found[name].results] for name in ("one", "same", "other")]
    if digests[0] != digests[1] or digests[0] == digests[2] or digests[0] in ([], [""]):
        yield f"digests of outputs 3, 3 and 4 are {digests}: expected two equal, and another"


def _judge_faults(executor: Executor) -> Faults:
    """What cannot be judged is not judged, and no failure of the program."""
    broken = Suite(kind="functional", cases=(Case(input="{", output="3"),), entry_point="add")
    verdicts = list(executor.judge([_job("broken", broken, _RIGHT), _job("next", _ADD, _RIGHT)]))
    found = {verdict.key: verdict for verdict in verdicts}
    if "broken" not in found or found["broken"].status is not Status.NOT_JUDGED:
        said = _said(found["broken"]) if "broken" in found else "no verdict"
        yield f"a test that is no JSON: {said}; expected not judged"
    if "next" not in found or found["next"].status is not Status.PASSED:
        yield "after a test that is no JSON other jobs are not judged as before"


def _stream_faults(executor: Executor) -> Faults:
    read = 0

    def jobs() -> Iterator[Job]:
        nonlocal read
        for read in range(1, _MANY + 1):
            yield _job(str(read), _CHECK, _RIGHT)

    verdicts = iter(executor.judge(jobs()))
    next(verdicts, None)
    if read == _MANY:
        yield f"all of {_MANY} jobs were read before the first verdict: read as many as are judged"
    if close := getattr(verdicts, "close", None):
        close()
    if [v.status for v in executor.judge([_job("again", _CHECK, _RIGHT)])] != [Status.PASSED]:
        yield "after an interrupted call it does not judge as before"


def _isolation_faults(executor: Executor) -> Faults:
    with tempfile.TemporaryDirectory(prefix="funprm-exam-", dir=Path.home()) as folder:
        secret, trace = Path(folder) / "secret", Path(folder) / "trace"
        secret.write_text("the answer")
        told = Suite.of([("", "the answer")])
        reads = f"print(open({str(secret)!r}).read())\n"
        writes = f"open({str(trace)!r}, 'w').write('here')\n"
        found = {
            v.key: v
            for v in executor.judge([_job("read", told, reads), _job("write", told, writes)])
        }
        if "read" in found and found["read"].status is Status.PASSED:
            yield "a program can read a file in this user's home"
        if trace.exists():
            yield "a program can write a file in this user's home"


def _said(verdict: Verdict) -> str:
    return f"{verdict.status.value} ({' '.join(verdict.detail.split())[:100]})"
