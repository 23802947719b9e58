"""Programs that must pass on every new worker, before it judges others.

A defect of the sandbox, of the interpreter or of what it loads would else look like a runtime
error of every program. Standard library, and expected answers, as for any other program.
"""

from collections.abc import Callable
from typing import Any

from funprm.errors import ExecutorError
from funprm.executors import protocol
from funprm.executors.grading.suites import PreparedSuite
from funprm.records import Case, Status, Suite

_CHECK = "def check(candidate):\n    answer = candidate(20)\n    assert answer == 21\n"
_PROGRAMS = (
    (
        Suite(kind="stdin", cases=(Case(input="1", output="2"), Case(input="3", output="4"))),
        "print(int(input()) + 1)",
    ),
    (
        Suite(kind="functional", entry_point="f", cases=(Case(input="20", output="[21]"),)),
        "def f(x):\n    return [x + 1]",
    ),
    (Suite(kind="check", entry_point="f", code=_CHECK), "def f(x):\n    return x + 1"),
)
_SECONDS = 30.0


class KilledError(ExecutorError):
    """A test program was ended from outside; that says nothing about the worker."""


class Canary:
    """The test programs on one worker."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self._suites = [PreparedSuite(suite, _SECONDS, compat=False) for suite, _ in _PROGRAMS]
        self._seen = [0] * len(_PROGRAMS)
        self._ended = 0

    def frames(
        self, suite_frames: Callable[[int, PreparedSuite], list[protocol.Frame]]
    ) -> list[protocol.Frame]:
        """What to send; suites and jobs have negative numbers.

        Args:
            suite_frames: what a worker must be told of a suite.
        """
        frames = []
        for number, (suite, (_, code)) in enumerate(zip(self._suites, _PROGRAMS, strict=True), 1):
            frames += suite_frames(-number, suite)
            job = protocol.Frame("job", -number, -number, 0, False, True, body=code.encode())
            frames += [job, protocol.Frame("forget", -number)]
        return frames

    def take(self, frame: protocol.Frame) -> bool:
        """Look at an answer; True once all programs have passed.

        Raises:
            ExecutorError: one does not.
            ProtocolError: the answer is none.
        """
        place = -frame.fields[0] - 1 if frame.fields else -1
        if not 0 <= place < len(self._suites):
            raise protocol.ProtocolError("an answer to nothing asked")
        suite = self._suites[place]
        if frame.kind == "cases":
            _, first, memory, reports, _ = frame.fields
            self._seen[place] += _passed(suite, first, memory, reports, frame.body)
        elif frame.kind == "end":
            self._ended += 1
            if self._seen[place] != suite.total:
                raise ExecutorError(_fault(suite, "some cases have no answer"))
        return self._ended == len(self._suites)


def _passed(
    suite: PreparedSuite, first: int, memory: float, reports: list[list[Any]], body: bytes
) -> int:
    for index, report in enumerate(zip(reports, protocol.texts(reports, body), strict=True), first):
        (outcome, *_), text = report
        if outcome == "killed":
            raise KilledError("a test program was killed")
        if index >= suite.total:
            raise protocol.ProtocolError("more answers than cases")
        result = suite.result(index, outcome, text, (0.0, 0.0, memory))
        if result.status is not Status.PASSED:
            raise ExecutorError(_fault(suite, f"{result.status}: {result.detail}"))
    return len(reports)


def _fault(suite: PreparedSuite, what: str) -> str:
    return (
        f"a correct {suite.suite.kind} program does not pass on a new worker of the judge ({what});"
        " nothing was judged: check the interpreter that runs programs, and `funprm doctor`"
    )
