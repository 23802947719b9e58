"""Suites made ready for workers, and what one case says of a program.

Expected outputs stay here, outside of the sandbox.
"""

import json
from functools import cached_property
from zlib import crc32

from funprm.executors.grading import compare
from funprm.executors.grading.assertions import Assertion, assertions, calls_source
from funprm.executors.grading.named_tests import test_names
from funprm.executors.protocol import SHARED, encoded
from funprm.records import CaseResult, Json, ProgramVerdict, Status, Suite, Verdict

MAX_OUTPUT = 16 << 20
"""Bytes that a program may write to standard output."""
KINDS = ("stdin", "functional", "check", "unittest")
_EXCERPT = 200
_MOST_NAMES = 10

_Expected = compare.ExpectedStream | compare.ExpectedValue
_READERS: dict[str, type[_Expected]] = {
    "stdin": compare.ExpectedStream,
    "functional": compare.ExpectedValue,
}
_FAILURES = {
    "wrong": Status.WRONG_ANSWER,
    "error": Status.RUNTIME_ERROR,
    "memory": Status.MEMORY_LIMIT,
    "flood": Status.OUTPUT_LIMIT,
    "time": Status.TIME_LIMIT,
    "wall": Status.TIME_LIMIT,
}


class PreparedSuite:
    """A suite with its limits settled, checked once for all programs.

    Attributes:
        fault: why no program can be judged by it, or empty.
        total: number of cases; 1 for `check` and `unittest`.
        weight: characters of all cases.
    """

    def __init__(self, suite: Suite, seconds: float, compat: bool) -> None:
        """Check the suite; it is never refused by an exception, see `fault`.

        Args:
            suite: the suite.
            seconds: limit that replaces the suite's own, or 0.
            compat: follow official checkers where they are known to be wrong; see
                docs/judging.md for where it does and where it does not.
        """
        self.suite = suite
        self.seconds = seconds or suite.seconds
        self.compat = compat
        self.by_cases = suite.kind in ("stdin", "functional")
        self.total = len(suite.cases) if self.by_cases else 1
        self.weight = sum(len(case.input) + len(case.output or "") for case in suite.cases)
        self.fault = _fault(suite, self.seconds)
        if suite.kind == "functional" and not self.fault:
            self.fault = self._fault_of_outputs()
        self._assertions: tuple[Assertion, ...] = ()
        if suite.kind == "check":
            self._assertions = assertions(suite.code, suite.entry_point)

    def payload(self) -> dict[str, Json]:
        """What a worker may know."""
        suite = self.suite
        return {
            "kind": "calls" if self._assertions else suite.kind,
            "entry": suite.entry_point,
            "tests": calls_source(self._assertions) if self._assertions else suite.code,
            "prelude": suite.prelude,
            "inputs": self._inputs() if self.by_cases else [],
            "hints": self._hints() if self.by_cases else [],
            "total": self.total,
            "cpu": self.seconds,
            "wall": 3 * self.seconds + 2,
            "memory": suite.memory_mb,
            "output": MAX_OUTPUT,
            "compat": self.compat,
            "processes": suite.kind == "unittest",
            "share_code": suite.kind == "stdin" and self.total > 1,
        }

    def _inputs(self) -> list[str]:
        """The cases' inputs, of `functional` suites JSON lists of arguments."""
        inputs = [case.input for case in self.suite.cases]
        if self.suite.kind == "functional":
            return [f"[{','.join(_values(text))}]" for text in inputs]
        return inputs

    def _fault_of_outputs(self) -> str:
        outputs = [case.output for case in self.suite.cases]
        try:
            self._expected  # noqa: B018  (reads them all, once)
        except (ValueError, RecursionError):
            return next(filter(None, (_fault_of_value("output", *o) for o in enumerate(outputs))))
        return ""

    def _hints(self) -> list[int]:
        """Of each case a checksum of how a right answer is written most often; -1: all are right.

        No more of what is expected leaves this process. It decides nothing: a worker that finds
        another checksum asks before it runs further cases.
        """
        return [-1 if e is None else crc32(encoded(e.text).strip()) for e in self._expected]

    @cached_property
    def _tests(self) -> frozenset[str]:
        """Names of the tests that must pass (`unittest`)."""
        return test_names(self.suite.code)

    @cached_property
    def _expected(self) -> list[_Expected | None]:
        """What each case compares with; None where it compares nothing."""
        read = _READERS[self.suite.kind]
        return [None if c.output is None else read(c.output) for c in self.suite.cases]

    def result(
        self, index: int, outcome: str, text: str, usage: tuple[float, float, float]
    ) -> CaseResult:
        """What a worker's report about one case means.

        Args:
            index: number of the case.
            outcome: as in `inside.zygote`: output, opaque, wrong (an assertion of the tests
                failed), error, memory, flood, time or wall.
            text: the output or the error.
            usage: CPU seconds, wall seconds, mebibytes.
        """
        if outcome in _FAILURES:
            status, digest, detail = _FAILURES[outcome], "", text[:500]
            if self._assertions and outcome in ("time", "wall"):
                status, detail = self._until_late(text, status)
        elif not self.by_cases:
            status, detail = self._asserted(text) if self._assertions else self._proven(text)
            digest = ""
        else:
            status, digest, detail = self._compared(index, outcome, text)
        return CaseResult(
            index=index,
            status=status,
            cpu=usage[0],
            wall=usage[1],
            memory_mb=usage[2],
            digest=digest,
            detail=detail,
        )

    def _compared(self, index: int, outcome: str, text: str) -> tuple[Status, str, str]:
        expected = self._expected[index]
        try:
            if expected is None:
                return Status.PASSED, self._digest(outcome, text), ""
            if outcome == "output" and expected.same(text):
                return Status.PASSED, expected.digest, ""
            digest = self._digest(outcome, text)
        except (ValueError, RecursionError):  # the program wrote to the channel itself
            digest = ""
        case = self.suite.cases[index]
        parts = (("input", case.input), ("expected", case.output or ""), ("got", text))
        return Status.WRONG_ANSWER, digest, "; ".join(f"{n} {_excerpt(t)}" for n, t in parts)

    def _until_late(self, text: str, status: Status) -> tuple[Status, str]:
        """What the answers that came in time say: a wrong one failed before the time was over."""
        found = self._asserted(text)
        return found if found[0] is Status.WRONG_ANSWER else (status, "")

    def _asserted(self, text: str) -> tuple[Status, str]:
        """What a program's answers to the calls of assertions mean.

        Args:
            text: a line per answer; an error that ended them is in a last line, after a `!`.
        """
        lines = text.split("\n", len(self._assertions))
        for number, assertion in enumerate(self._assertions):
            line = lines[number] if number < len(lines) and lines[number] else "!no answer"
            if line.startswith("!"):
                return Status.RUNTIME_ERROR, line[1:500]
            if line != assertion.expected:
                return Status.WRONG_ANSWER, f"assert {assertion.source}; got {line[:_EXCERPT]}"
        return Status.PASSED, ""

    def _proven(self, text: str) -> tuple[Status, str]:
        """What it means that test code came to its end, as it proved.

        Args:
            text: a JSON list: names of the tests that passed, or notes for people (`check`).
        """
        told = [str(item)[:_EXCERPT] for item in json.loads(text)]
        if self.suite.kind == "check":
            return Status.PASSED, "; ".join(told)
        missing = sorted(self._tests.difference(told))
        if missing or not (told or self.compat):
            names = ", ".join(missing[:_MOST_NAMES]) or "any test"
            return Status.WRONG_ANSWER, f"tests that did not pass, or did not run: {names}"
        return Status.PASSED, ""

    def _digest(self, outcome: str, text: str) -> str:
        if outcome == "opaque":
            return compare.stream_digest(f"opaque {text}")
        functional = self.suite.kind == "functional"
        return compare.text_digest(text) if functional else compare.stream_digest(text)


def shared_a_process(verdict: Verdict | ProgramVerdict) -> bool:
    """Whether a program passed a `check` suite in one process with its tests.

    Then a program made to deceive could have won; see docs/judging.md.
    """
    return verdict.status is Status.PASSED and SHARED in verdict.detail


def _excerpt(text: str) -> str:
    text = text if len(text) <= _EXCERPT else text[:_EXCERPT] + "..."
    return repr(text.encode("utf-8", "replace").decode())


def _fault(suite: Suite, seconds: float) -> str:
    if suite.kind not in KINDS:
        return f"suite kind is {suite.kind!r}, expected one of {', '.join(KINDS)}"
    if not seconds > 0 or not suite.memory_mb > 0:
        return f"limits must be positive, got {seconds} s and {suite.memory_mb} MiB"
    if suite.kind in ("check", "unittest"):
        return _fault_of_code(suite)
    if not suite.cases:
        return f"a {suite.kind} suite needs at least one case, got none"
    return _fault_of_values(suite) if suite.kind == "functional" else ""


def _fault_of_code(suite: Suite) -> str:
    needed = "check" if suite.kind == "check" else "TestCases"
    if needed not in suite.code:
        return f"the code of a {suite.kind} suite must define {needed}, got none"
    if suite.kind == "check" and not suite.entry_point:
        return "a check suite needs an entry_point, got an empty one"
    return ""


def _fault_of_values(suite: Suite) -> str:
    if not suite.entry_point:
        return "a functional suite needs an entry_point, got an empty one"
    lines = ((n, line) for n, case in enumerate(suite.cases) for line in _values(case.input))
    return next(filter(None, (_fault_of_value("input", *line) for line in lines)), "")


def _fault_of_value(name: str, index: int, text: str | None) -> str:
    try:
        if text is not None:
            compare.read_value(text)
    except (ValueError, RecursionError):
        return f"{name} of case {index} is not one JSON value per line: {str(text)[:80]!r}"
    return ""


def _values(text: str) -> list[str]:
    """The lines that hold a functional case's arguments; blank ones at the end are none."""
    return text.rstrip("\n").split("\n")
