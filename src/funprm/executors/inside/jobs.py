"""What the watcher knows of a suite, and of a program on its way through it.

Standard library only.
"""

from __future__ import annotations

import zlib
from typing import Any

from funprm.executors import protocol
from funprm.executors.inside.task import SuiteFile

Report = tuple[str, bytes, int, int]
"""Of one case: outcome, text, CPU and wall microseconds."""


class Suite:
    """A suite as the host sent it.

    Attributes:
        settings: kind, entry, prelude, compat, total, limits.
        file: its inputs or tests.
        hints: of each case the checksum of the answer that is most likely right, or -1: any is.
        prelude: number of its prelude in the zygote; -1: none there; None: not asked yet.
    """

    def __init__(self, settings: dict[str, Any], body: bytes) -> None:
        """Take over what came."""
        self.settings = settings
        self.file = SuiteFile(settings["kind"], settings.pop("sizes"), body)
        self.hints: list[int] = settings.pop("hints")
        self.prelude: int | None = None
        self.by_cases = settings["kind"] in ("functional", "stdin")


class Job:
    """A program, its suite, and how far it has come.

    Attributes:
        next: number of the first case not reported yet.
        one_by_one: every case has a process of its own.
        total: number of cases.
        reports: cases reported but not sent yet.
        size: bytes of their texts.
    """

    def __init__(self, frame: protocol.Frame, suite: Suite) -> None:
        """Read the frame `job`."""
        self.id, _, self.next, one_by_one, self.stop_at_failure = frame.fields
        self.code = frame.body
        self.suite = suite
        self.one_by_one = one_by_one or not suite.by_cases
        self.compiled = b""
        self.stopped = False
        self.memory = 0.0
        self.total: int = suite.settings["total"]
        self.reports: list[Report] = []
        self.size = 0

    @property
    def done(self) -> bool:
        """No case is left to be run."""
        return self.stopped or self.next >= self.total

    def report(self, outcome: str, text: bytes, cpu: int, wall: int) -> None:
        """Note what happened in the next case; times in microseconds."""
        if self.done:
            return
        self.reports.append((outcome, text, cpu, wall))
        self.size += len(text)
        self.next += 1
        if self.stop_at_failure and outcome not in ("output", "opaque"):
            self.stopped = True

    def looks_right(self) -> bool:
        """Whether the reports not sent yet are what one would expect; only the host knows."""
        hints = self.suite.hints[self.next - len(self.reports) : self.next]
        return all(map(_looks_right, self.reports, hints))

    def frame(self, *, waits: bool = False) -> protocol.Frame:
        """The reports, to be sent; then there are none.

        Args:
            waits: no further case runs before the host has looked at them.
        """
        reports = [(o, len(t), cpu, wall) for o, t, cpu, wall in self.reports]
        body = b"".join(t for _, t, _, _ in self.reports)
        first = self.next - len(reports)
        self.reports, self.size = [], 0
        fields = (self.id, first, round(self.memory, 1), reports, waits)
        return protocol.Frame("cases", *fields, body=body)


def _looks_right(report: Report, hint: int) -> bool:
    return report[0] == "output" and hint in (-1, zlib.crc32(report[1].strip()))
