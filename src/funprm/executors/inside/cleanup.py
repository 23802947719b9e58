"""Removing what a program leaves: processes and files. Standard library only."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

_PATIENCE, _PAUSE = 10.0, 0.0005


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
            kill_adopted()
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            if time.monotonic() > deadline:
                raise TimeoutError("a program left a process that cannot be ended")
            time.sleep(_PAUSE)


def kill_adopted() -> None:
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


def remove(folder: str) -> None:
    """Delete a folder, however deep: what is inside a subfolder is moved up first."""
    names = iter(lambda: f"{folder}/.{os.urandom(8).hex()}", "")
    os.chmod(folder, 0o700)
    while found := os.listdir(folder):
        for name in found:
            path = f"{folder}/{name}"
            if os.path.islink(path) or not os.path.isdir(path):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            for inner in os.listdir(path):
                source = f"{path}/{inner}"
                if not os.path.islink(source):
                    os.chmod(source, 0o700)  # a folder can be moved only if it is writable
                os.rename(source, next(names))
            os.rmdir(path)
    os.rmdir(folder)
