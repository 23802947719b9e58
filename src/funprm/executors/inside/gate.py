"""Where a process that runs many cases waits until it is worth running more of them.

A wrong program should not run a hundred cases when its second answer is wrong. Its process asks
from time to time whether to go on. The watcher lets it at once if its answers look right; else the
host, who knows what is right, has a moment to stop it. Standard library only.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

_PATIENCE = 0.05
"""Seconds for which a process waits for the host, who may be busy."""
_SPELL = 2_000_000
_SHARE = 8
_FIRST, _MANY = 2, 16
_cpu, _read, _write = time.thread_time_ns, os.read, os.write


class Gate:
    """The watcher's end.

    Attributes:
        theirs: the other end, to be given to the process; -1 once that is done.
    """

    def __init__(self) -> None:
        """Make both ends."""
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        self.theirs = theirs.detach()
        self._until = 0.0

    def fileno(self) -> int:
        """The descriptor that tells when the process asks."""
        return self._ours.fileno()

    def asked(self) -> bool:
        """The process has asked; False: it has closed its end."""
        try:
            return bool(self._ours.recv(64))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def hold(self) -> None:
        """Let the process wait for the host."""
        self._until = time.monotonic() + _PATIENCE

    def left(self) -> float:
        """Seconds for which the process waits for the host still."""
        return max(0.0, self._until - time.monotonic())

    def is_over(self) -> bool:
        """Whether the host has had its time."""
        return self.held and not self.left()

    @property
    def held(self) -> bool:
        """Whether the process waits."""
        return self._until > 0

    def open(self) -> None:
        """Let the process go on."""
        self._until = 0.0
        with suppress(OSError):
            self._ours.send(b"!")

    def close(self) -> None:
        """Close our end."""
        self._ours.close()


class Asker:
    """The process's end."""

    def __init__(self, fd: int, cases: int) -> None:
        """Take over a descriptor.

        Args:
            fd: of the gate; -1: there is none.
            cases: that this process may have to run.
        """
        self._fd = fd
        self._first = _FIRST if cases > _MANY else 0
        self._asked = _cpu()

    def may_run(self, number: int) -> bool:
        """Whether to run the case of this number.

        It costs a look at the clock, but for the third one of many and whenever the process has
        worked for a while, and by an eighth longer than when it last asked.
        """
        now = _cpu()
        soon = now - self._asked < _SPELL + now // _SHARE
        if self._fd < 0 or not number or (number != self._first and soon):
            return True
        _write(self._fd, b"?")
        answer = _read(self._fd, 1)
        self._asked = _cpu()
        return bool(answer)
