"""Is a data set sound here? What `funprm check-dataset` does.

Every reference solution must pass the hidden and public tests of its problem, and a program that
does nothing must fail them. Both run in isolation like any other program.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from funprm import registry
from funprm.commands.problems import checked, given, read_problems
from funprm.interfaces import Executor, Job, Progress
from funprm.records import Json, Problem, Status, Suite, Verdict

_SHOWN = 20
"""Problems that are named in the text form; all are in the JSON form."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What came out."""

    problems: int = 0
    without_reference: int = 0
    passed: int = 0
    """References that pass all tests."""
    failed: dict[str, str] = field(default_factory=dict)
    """References that do not, by problem: suite, status and detail."""
    not_judged: dict[str, str] = field(default_factory=dict)
    """Problems of whose reference, or stub, the judge can say nothing (values that are no JSON)."""
    stubs_passed: tuple[str, ...] = ()
    """Problems whose hidden tests a program passes that does nothing."""

    @property
    def exit_code(self) -> int:
        """0 every reference passes and no stub; 1 not so; 2 no reference could be judged."""
        if self.failed or self.stubs_passed:
            return 1
        if not self.passed:
            return 2
        return 1 if self.not_judged else 0

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {
            "problems": self.problems,
            "without_reference": self.without_reference,
            "passed": self.passed,
            "failed": self.failed,
            "not_judged": self.not_judged,
            "stubs_passed": list(self.stubs_passed),
        }

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """A few lines for people."""
        lines = [
            f"{self.problems} problems, {self.problems - self.without_reference} with a reference",
            f"references: {self.passed} pass, {len(self.failed)} fail, "
            f"{len(self.not_judged)} not judged",
            f"stubs: {len(self.stubs_passed)} pass (expected none)",
        ]
        for title, found in (("fails", self.failed), ("not judged", self.not_judged)):
            lines += _first([f"{title}: {name}: {why}" for name, why in found.items()])
        lines += _first([f"stub passes: {name}" for name in self.stubs_passed])
        if not self.passed and not self.failed:
            none = self.without_reference == self.problems
            why = "no problem has a reference" if none else "the judge refused every reference"
            lines.append(f"nothing was checked but stubs: {why}")
        return "\n".join(lines)


def check_dataset(name: str, overrides: Mapping[str, Any], progress: Progress) -> Check:
    """Check a data set with the executor of a configuration.

    Args:
        name: the name of a registered data set, a run's TOML file, or a file of problems.
        overrides: settings by dotted key (`dataset.path`, `executor.workers`).
        progress: where it is shown how far this is.

    Raises:
        InputError: no such file or data set, or it cannot be loaded; two ids are equal.
        ExecutorError: this machine cannot judge.
    """
    source = given(name, overrides)
    problems = checked(read_problems(source))
    part = source.executor
    with closing(registry.build("executors", part.name, part.options)) as executor:
        progress.start("check", 0)
        check = check_problems(problems, executor, progress.advance)
        progress.finish(f"{check.problems} problems")
        return check


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return lines if more <= 0 else [*lines[:_SHOWN], f"... and {more} more; --json lists all"]


def check_problems(
    problems: Iterable[Problem], executor: Executor, advance: Callable[[int], None] = lambda n: None
) -> Check:
    """Judge references and stubs; problems are read as fast as they are judged.

    Args:
        problems: what to check.
        executor: the judge; it is not closed.
        advance: told after every verdict.
    """
    counts: dict[str, Any] = {"problems": 0, "without_reference": 0}
    judged: dict[str, list[tuple[str, Verdict]]] = {}
    stubs: list[str] = []
    untested: dict[str, str] = {}

    def jobs() -> Iterator[Job]:
        for problem in problems:
            counts["problems"] += 1
            counts["without_reference"] += problem.reference is None
            yield from _jobs(problem)

    for verdict in executor.judge(jobs()):
        what, _, problem_id = verdict.key.partition(" ")
        if what != "stub":
            judged.setdefault(problem_id, []).append((what, verdict))
        elif verdict.status is Status.PASSED:
            stubs.append(problem_id)
        elif verdict.status is Status.NOT_JUDGED:
            untested[problem_id] = _reason("hidden", verdict)
        advance(1)
    failed = _reasons(judged, passed=False)
    unknown = _reasons(judged, passed=None)
    not_judged = {n: why for n, why in {**untested, **unknown}.items() if n not in failed}
    return Check(
        **counts,
        passed=sum(name not in failed and name not in not_judged for name in judged),
        failed=failed,
        not_judged=not_judged,
        stubs_passed=tuple(stubs),
    )


def _jobs(problem: Problem) -> Iterator[Job]:
    """The reference by both suites, and the stub by the hidden one."""
    if problem.reference is not None:
        for name, suite in (("hidden", problem.hidden), ("public", problem.public)):
            if suite is not None:
                yield Job(key=f"{name} {problem.problem_id}", code=problem.reference, suite=suite)
    code = stub(problem.hidden, problem.starter_code)
    yield Job(key=f"stub {problem.problem_id}", code=code, suite=problem.hidden)


def _reasons(
    judged: Mapping[str, list[tuple[str, Verdict]]], *, passed: bool | None
) -> dict[str, str]:
    """By problem, the first verdict that says `passed`; problems without one are left out."""
    found: dict[str, str] = {}
    for problem_id, verdicts in judged.items():
        for suite, verdict in verdicts:
            if verdict.passed is passed:
                found.setdefault(problem_id, _reason(suite, verdict))
    return found


def _reason(suite: str, verdict: Verdict) -> str:
    detail = " ".join(verdict.detail.split())[:160]
    return f"{suite} tests: {verdict.status.value}" + (f" ({detail})" if detail else "")


def stub(suite: Suite, starter_code: str = "") -> str:
    """A program of the form that a suite asks for which does nothing.

    >>> print(stub(Suite(kind="check", entry_point="Solution().f")))
    class Solution:
        def f(self, *args, **kwargs):
            return None
    <BLANKLINE>
    """
    name = suite.entry_point.rpartition(".")[2]
    if suite.kind == "stdin" or not name.isidentifier():
        return "pass\n"
    in_class = suite.entry_point.startswith("Solution().") or "class Solution" in starter_code
    if in_class:
        return f"class Solution:\n    def {name}(self, *args, **kwargs):\n        return None\n"
    return f"def {name}(*args, **kwargs):\n    return None\n"
