"""Programs that must pass on every new worker, before it judges others.

A defect of the sandbox, of the interpreter or of what it loads would else look like a runtime
error of every program. Standard library, and expected answers, as for any other program.
"""

from typing import Any

from funprm.errors import ExecutorError
from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.local.worker import Worker
from funprm.records import Case, Status, Suite

_CHECK = "def check(candidate):\n    assert candidate(20) == 21\n"
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


def check(worker: Worker) -> None:
    """Judge the programs on an idle worker.

    Raises:
        ExecutorError: one does not pass, or the worker has gone.
    """
    suites = [PreparedSuite(suite, _SECONDS, compat=False) for suite, _ in _PROGRAMS]
    messages: list[list[Any]] = []
    for number, (suite, (_, code)) in enumerate(zip(suites, _PROGRAMS, strict=True), 1):
        messages.append(["suite", -number, suite.payload()])
        messages.append(["job", -number, -number, code, 0, False, True])
        messages.append(["forget", -number])
    worker.send(messages)
    seen = dict.fromkeys(range(-len(suites), 0), 0)
    ended = 0
    while ended < len(suites):
        replies = worker.receive()
        if replies is None:
            raise ExecutorError(f"a worker of the judge ended on a test program: {worker.error()}")
        for reply in replies:
            if reply[0] == "cases":
                seen[reply[1]] += _passed(suites[-reply[1] - 1], *reply[2:])
            ended += reply[0] == "end"
    for number, suite in enumerate(suites, 1):
        if seen[-number] != suite.total:
            raise ExecutorError(_fault(suite, "some cases have no answer"))


def _passed(suite: PreparedSuite, first: int, memory: float, reports: list[list[Any]]) -> int:
    for index, (outcome, text, _, _) in enumerate(reports, first):
        result = suite.result(index, outcome, text, (0.0, 0.0, memory))
        if result.status is not Status.PASSED:
            raise ExecutorError(_fault(suite, f"{result.status}: {result.detail}"))
    return len(reports)


def _fault(suite: PreparedSuite, what: str) -> str:
    return (
        f"a correct {suite.suite.kind} program does not pass on a new worker of the judge ({what});"
        " nothing was judged: check the interpreter that runs programs, and `funprm doctor`"
    )
