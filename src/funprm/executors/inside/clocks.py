"""How long the present case of a running program may still take. Standard library only."""

from __future__ import annotations

import os
import time
from typing import Any

from funprm.executors.inside import clock
from funprm.executors.inside.usage import Processes, cpu_of

LONGEST_LOOK = 0.25
"""Seconds after which a program is looked at again, if nothing happens before."""
_PROCESSORS = os.cpu_count() or 1


class Clocks:
    """CPU and wall time of one process, with its children, since its present case began."""

    def __init__(self, settings: dict[str, Any], processes: Processes) -> None:
        """A process begins with its first case.

        Args:
            settings: of its suite.
            processes: the sandbox's.
        """
        self._settings = settings
        self._processes = processes
        self._pid = 0
        self._slowdowns: list[float] = []
        self._cpu_mark = 0.0
        self._start = self._case_start = self._wall_mark = time.monotonic()

    def restart(self) -> None:
        """The next case begins."""
        self._cpu_mark = self._cpu()
        self._case_start = self._wall_mark = time.monotonic()

    def pause(self, seconds: float) -> None:
        """The watcher has not listened for so long: that time does not count."""
        self._wall_mark += seconds

    def wall(self) -> float:
        """Wall seconds of the case."""
        return time.monotonic() - self._wall_mark

    def since_mark(self, cpu: float) -> float:
        """CPU seconds of the case, of those of the whole program."""
        return max(0.0, cpu - self._cpu_mark)

    def look(self) -> tuple[float, float]:
        """CPU and wall seconds that the case still has, at least."""
        settings = self._settings
        wall = self.wall()
        most = (time.monotonic() - self._case_start) * _PROCESSORS
        if not self._slowdowns and most < settings["cpu"]:  # no need to read what it has used
            return settings["cpu"] - most, settings["wall"] - wall
        cpu = self._cpu() - self._cpu_mark
        if wall > settings["wall"]:  # time without a processor does not count, up to a point
            wall = max(wall - self._processes.waited(), 0.1 * wall)
        return self._limit(cpu) - cpu, settings["wall"] - wall

    def measure(self) -> None:
        """Note how slow the processor is, if the program has run for a while."""
        if time.monotonic() - self._start > LONGEST_LOOK:
            self._slowdowns.append(clock.slowdown())

    def is_over(self, used: float) -> bool:
        """Whether so many CPU seconds are more than a case may use."""
        return used > self._settings["cpu"] and used > self._limit(used)

    def _cpu(self) -> float:
        """CPU seconds of the whole program until now."""
        if self._settings["processes"]:
            return self._processes.cpu()
        if self._settings["kind"] == "check":  # it has two
            return self._processes.cpu_of_members()
        self._pid = self._pid or self._processes.first()
        return cpu_of(self._pid) if self._pid else 0.0

    def _limit(self, used: float) -> float:
        """CPU seconds that a case may use: the limit, stretched by the mean slowdown.

        The slowdown is measured at every later look, and at the latest when it must decide.
        """
        limit: float = self._settings["cpu"]
        if used <= limit:
            return limit
        if not self._slowdowns:
            self._slowdowns.append(clock.slowdown())
        return limit * sum(self._slowdowns) / len(self._slowdowns)
