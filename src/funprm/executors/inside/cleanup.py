"""What a program used, and removing what it leaves: processes and files.

Standard library only.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress

_PAGE = resource.getpagesize() / (1 << 20)
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE, _PAUSE = 10.0, 0.0005


def memory_of_self() -> tuple[float, float]:
    """Mebibytes of address space and of resident memory."""
    try:
        with open("/proc/self/statm") as file:
            size, resident = file.read().split()[:2]
    except OSError:  # no /proc here; room enough for an interpreter
        return 256.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(size) * _PAGE, int(resident) * _PAGE


def tree(pid: int) -> tuple[float, float]:
    """CPU seconds and resident mebibytes of all processes in the sandbox but the warm parent.

    Args:
        pid: the program's first process; what its ended children used counts as well.
    """
    cpu, pages = 0, 0
    for name in os.listdir("/proc"):
        if name.isdecimal() and name != "1":
            with suppress(OSError), open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
                cpu += sum(map(int, fields[11:15] if int(name) == pid else fields[11:13]))
                pages += int(fields[21])
    return cpu / _TICKS, pages * _PAGE


def waited(pid: int) -> float:
    """Seconds for which a process could have run but had no processor.

    Of its threads the one that waited longest: often the first only waits for another.
    """
    return max(map(_waited, _threads(pid)), default=0.0)


def _threads(pid: int) -> list[str]:
    try:
        return [f"/proc/{pid}/task/{name}" for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def _waited(thread: str) -> float:
    try:
        with open(f"{thread}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def sweep(pid: int, *, everything: bool) -> None:
    """End and collect every process that a program has left.

    Args:
        pid: the program's process group.
        everything: one signal reaches all of the sandbox and nothing else.

    Raises:
        TimeoutError: some process does not end.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(-1, signal.SIGKILL) if everything else os.killpg(pid, signal.SIGKILL)
        if not everything:
            _kill_adopted()
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            if time.monotonic() > deadline:
                raise TimeoutError("a program left a process that cannot be ended")
            time.sleep(_PAUSE)


def _kill_adopted() -> None:
    """End processes that lost their parent, as far as /proc shows them."""
    for child in _children(os.getpid()):
        for descendant in (child, *_children(child)):
            with suppress(OSError):
                os.kill(descendant, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(p) for p in file.read().split()]
    except OSError:
        return []


def empty(folder: str) -> None:
    """Delete all in a folder, however deep: what is inside a subfolder is moved up first."""
    number = 0
    while names := os.listdir(folder):
        for name in names:
            path = f"{folder}/{name}"
            if os.path.islink(path) or not os.path.isdir(path):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            for inner in os.listdir(path):
                number += 1
                source = f"{path}/{inner}"
                if not os.path.islink(source):
                    os.chmod(source, 0o700)  # a folder can be moved only if it is writable
                os.rename(source, f"{folder}/.{number}")
            os.rmdir(path)
