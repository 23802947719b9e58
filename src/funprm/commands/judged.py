"""What came out of `funprm judge`: every problem and program is counted somewhere."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from funprm.records import Json, Status

Reason = Literal[
    "of unknown problems", "of problems that cannot be used", "of problems without such tests",
    "refused by the judge",
]  # fmt: skip
UNKNOWN: Reason = "of unknown problems"
UNUSABLE: Reason = "of problems that cannot be used"
NO_TESTS: Reason = "of problems without such tests"
REFUSED: Reason = "refused by the judge"
_NAMED = 5
"""Problems that are named in the text form; all are in the JSON form."""


@dataclass(kw_only=True)
class Judged:
    """Counts of one call.

    `programs` is the sum of `statuses`; `not judged` among them is the sum of `reasons`.
    """

    suite: str
    problems: int = 0
    """Rows of the data set or file."""
    unusable_problems: int = 0
    """Rows that are no problems."""
    with_tests: int = 0
    """Problems with such a suite."""
    without_programs: tuple[str, ...] = ()
    """Problems for which the file has no program."""
    programs: int = 0
    repeated: int = 0
    """Further rows of the same program under the same key; they count once."""
    unreadable: int = 0
    """Rows of programs that cannot be read."""
    completions: int = 0
    """Programs that are what follows the problem's code, which was put before them."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Number of programs by the id of a problem that is not given."""
    reused: int = 0
    """Verdicts that an earlier call had left."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Programs by status, verdicts of earlier calls included."""
    shared: int = 0
    """Programs that passed a `check` suite in one process with its tests."""
    reasons: Counter[Reason] = field(default_factory=Counter)
    """Programs that were not judged, by the reason."""

    @property
    def not_judged(self) -> int:
        """Programs without a verdict."""
        return self.statuses[Status.NOT_JUDGED.value]

    @property
    def judged(self) -> int:
        """Programs with a verdict."""
        return self.programs - self.not_judged

    @property
    def exit_code(self) -> int:
        """0 all were judged; 1 some were not, or could not be read; 2 none was judged."""
        if not self.judged:
            return 2
        return 1 if self.not_judged or self.unreadable else 0

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {
            "suite": self.suite,
            "problems": self.problems,
            "unusable_problems": self.unusable_problems,
            "with_tests": self.with_tests,
            "without_programs": list(self.without_programs),
            "programs": self.programs,
            "repeated": self.repeated,
            "unreadable": self.unreadable,
            "completions": self.completions,
            "unknown_problems": self.unknown,
            "judged": self.judged,
            "reused": self.reused,
            "not_judged": self.not_judged,
            "reasons": dict(self.reasons),
            "passed_with_tests_in_process": self.shared,
            "statuses": dict(self.statuses.most_common()),
        }

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """A few lines for people."""
        passed = self.statuses[Status.PASSED.value]
        share = f" ({100 * passed / self.judged:.1f} %)" if self.judged else ""
        found = ", ".join(f"{count} {name}" for name, count in self.statuses.most_common())
        lines = [
            f"problems: {self.problems}, {self.with_tests} with {self.suite} tests"
            + (f", {self.unusable_problems} cannot be used" if self.unusable_problems else "")
            + _named(len(self.without_programs), "without a program", self.without_programs),
            f"programs: {self.programs}, {self.unreadable} unreadable rows"
            + (f", {self.repeated} repeated rows" if self.repeated else "")
            + (f", {self.completions} put after their problem's code" if self.completions else "")
            + _named(sum(self.unknown.values()), "of unknown problems", tuple(self.unknown)),
            f"verdicts: {self.judged - self.reused} new, {self.reused} kept, "
            f"{self.not_judged} not judged"
            + "".join(f"; {count} {reason}" for reason, count in self.reasons.items()),
            f"passed: {passed} of {self.judged} judged{share}; {found}"
            + (f"; {self.shared} passed in one process with their tests" if self.shared else ""),
        ]
        return "\n".join(lines)


def _named(count: int, what: str, names: Sequence[str]) -> str:
    if not count:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f", {count} {what} ({', '.join(names[:_NAMED])}{more})"
