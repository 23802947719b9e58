"""A control group for a sandbox, where the machine lets us make one: CPU time that nobody can hide.

The kernel adds up there what every process uses, also those that no parent ever collects. Only the
unified hierarchy (version 2) is used, and no controller need be delegated. Standard library only.
"""

from __future__ import annotations

import os
from contextlib import suppress

_PREFIX = "funprm-"


class Group:
    """One group, or nothing where none can be made.

    Attributes:
        works: there is one.
    """

    def __init__(self) -> None:
        """Make it below the group of this process; remove those that killed workers have left."""
        self.works = False
        self._folder = self._stat = -1
        self._parent = _parent()
        self._name = f"{_PREFIX}{os.getpid()}"
        if self._parent >= 0:
            self._sweep()
            with suppress(OSError):
                os.mkdir(self._name, dir_fd=self._parent)
                self._folder = os.open(self._name, os.O_RDONLY, dir_fd=self._parent)

    def adopt(self, pid: int) -> None:
        """Take in a process, with all that it will fork."""
        try:
            procs = os.open("cgroup.procs", os.O_WRONLY, dir_fd=self._folder)
            with open(procs, "w") as file:
                file.write(str(pid))
            self._stat = os.open("cpu.stat", os.O_RDONLY, dir_fd=self._folder)
            self.works = True
        except OSError:
            self.close()

    def cpu(self) -> float:
        """CPU seconds that all its processes have ever used."""
        if self._stat < 0:
            return 0.0
        fields = os.pread(self._stat, 256, 0).split()
        return int(fields[1]) / 1e6

    def close(self) -> None:
        """Remove it, all its processes having ended."""
        if self._parent >= 0:
            with suppress(OSError):
                os.rmdir(self._name, dir_fd=self._parent)

    def _sweep(self) -> None:
        with suppress(OSError):
            for name in os.listdir(self._parent):
                if name.startswith(_PREFIX) and not _lives(name.removeprefix(_PREFIX)):
                    with suppress(OSError):
                        os.rmdir(name, dir_fd=self._parent)


def _lives(pid: str) -> bool:
    return not pid.isdecimal() or os.path.exists(f"/proc/{pid}")


def _parent() -> int:
    """The folder of this process's group; -1: there is none."""
    with suppress(OSError, StopIteration, IndexError):
        with open("/proc/self/cgroup") as file:
            own = next(line for line in file if line.startswith("0::"))[3:].strip()
        with open("/proc/self/mountinfo") as file:
            mount = next(line for line in file if " - cgroup2 " in line).split()
        inside = os.path.relpath(own, mount[3]) if own.startswith(mount[3]) else "."
        return os.open(os.path.join(mount[4], inside), os.O_RDONLY | os.O_DIRECTORY)
    return -1
