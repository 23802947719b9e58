"""What it means that a process has ended before it was done. Standard library only."""

from __future__ import annotations

import signal

from funprm.executors.inside.usage import Processes


def ended_early(code: int, processes: Processes) -> tuple[str, bytes]:
    """Outcome and text, for people.

    Args:
        code: its exit code; that of a signal is negative.
        processes: the sandbox's.
    """
    if code == -signal.SIGKILL:
        ran_out = processes.memory_ran_out()
        return "killed", b"memory ran out" if ran_out else b"by itself, or from outside"
    if code < 0:
        return "error", f"killed by {_name(-code)}".encode()
    return "error", f"ended with exit code {code} before it was done".encode()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
