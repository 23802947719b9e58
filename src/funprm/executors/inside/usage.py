"""What the processes of a sandbox use, as seen from outside of it.

The watcher keeps the host's /proc open, where the sandbox's own is hidden or missing. All
descendants of the zygote count, whoever their parent is by now, and so does what ended ones used.
Standard library only.
"""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress

from funprm.executors.inside.cgroup import Group

_PAGE = resource.getpagesize() / (1 << 20)
_TICKS = os.sysconf("SC_CLK_TCK")
_MOST = 4096
"""Processes that are looked at; a sandbox with more has broken its limit anyway."""


class Processes:
    """All processes of a sandbox but its first, the zygote.

    Attributes:
        zygote: its process id, as this process sees it.
        group: the control group that they are all in, or None.
    """

    def __init__(self, zygote: int, group: Group | None = None) -> None:
        """Keep /proc.

        Args:
            zygote: its process id, as this process sees it.
            group: counts what they use, if it works.
        """
        self.zygote = zygote
        self.group = group if group and group.works else None
        self._start = 0.0
        self._proc = -1
        with suppress(OSError):
            self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._oom_kills = self._count_oom_kills()

    def members(self) -> list[int]:
        """Process ids, children after their parents."""
        found = [self.zygote]
        for pid in found:
            if len(found) > _MOST:
                break
            for thread in self._names(f"{pid}/task"):
                found += map(int, self._read(f"{pid}/task/{thread}/children").split())
        return found[1:]

    def cpu(self) -> float:
        """CPU seconds since `start`, of those that have ended, too, if a group counts them."""
        return self.group.cpu() - self._start if self.group else self.cpu_of_members()

    def cpu_of_members(self) -> float:
        """CPU seconds of all that live, or are not collected yet, and of all they collected."""
        return sum(map(self._used, self.members()))

    def start(self) -> None:
        """A program begins."""
        if self.group:
            self._start = self.group.cpu()

    def first(self) -> int:
        """Process id of a program that has one process only; 0: it is not to be seen."""
        return next(iter(self.members()), 0)

    def _used(self, pid: int) -> float:
        own, collected = self._times(pid)
        return (cpu_of(pid) or own) + collected

    def _times(self, pid: int) -> tuple[float, float]:
        fields = self._read(f"{pid}/stat").rpartition(")")[2].split()[11:15]
        times = [int(f) / _TICKS for f in fields] or [0.0] * 4
        return times[0] + times[1], times[2] + times[3]

    # --- memory ---

    def memory(self, enough: float) -> float:
        """Resident mebibytes; pages that processes share count once as far as the kernel tells.

        Args:
            enough: up to this, a sum that counts shared pages several times will do.
        """
        pids = self.members()
        total = sum(map(self._resident, pids))
        return total if total <= enough else sum(map(self._proportional, pids))

    def _resident(self, pid: int) -> float:
        """As its first thread tells, or, once that has ended, another one."""
        size = self._pages(f"{pid}/statm")
        if not size:
            threads = self._names(f"{pid}/task")
            size = max((self._pages(f"{pid}/task/{t}/statm") for t in threads), default=0.0)
        return size

    def _pages(self, path: str) -> float:
        fields = self._read(path).split()
        return int(fields[1]) * _PAGE if len(fields) > 1 else 0.0

    def _proportional(self, pid: int) -> float:
        for thread in self._names(f"{pid}/task"):
            for line in self._read(f"{pid}/task/{thread}/smaps_rollup").splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1024
        return self._resident(pid)

    # --- waiting ---

    def waited(self) -> float:
        """Seconds for which the program could have run but had no processor.

        Of all its threads the one that waited longest: often the first only waits for another.
        """
        return max(map(self._waited, self.members()), default=0.0)

    def _waited(self, pid: int) -> float:
        longest = 0.0
        for thread in self._names(f"{pid}/task"):
            with suppress(ValueError, IndexError):
                fields = self._read(f"{pid}/task/{thread}/schedstat").split()
                longest = max(longest, int(fields[1]) / 1e9)
        return longest

    def memory_ran_out(self) -> bool:
        """The kernel has ended a process of this machine for want of memory, since last asked."""
        before, self._oom_kills = self._oom_kills, self._count_oom_kills()
        return self._oom_kills > before

    def _count_oom_kills(self) -> int:
        with suppress(ValueError, IndexError):
            return int(self._read("vmstat").partition("\noom_kill ")[2].split()[0])
        return 0

    # --- /proc ---

    def _names(self, path: str) -> list[str]:
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
        except OSError:
            return []
        try:
            return os.listdir(folder)
        except OSError:
            return []
        finally:
            os.close(folder)

    def _read(self, path: str) -> str:
        """What a file says; names of processes in it may be no text."""
        try:
            fd = os.open(path, os.O_RDONLY, dir_fd=self._proc)
        except OSError:
            return ""
        try:
            return os.read(fd, 1 << 16).decode("ascii", "replace")
        except OSError:
            return ""
        finally:
            os.close(fd)


def cpu_of(pid: int) -> float:
    """CPU seconds of one process; 0 if it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # see clock_getcpuclockid(3)
    except OSError:
        return 0.0
