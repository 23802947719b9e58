"""What a program's process tells the watcher. Standard library only."""

from __future__ import annotations

import os
import time

from funprm.executors import protocol

FILE = "program.py"
"""The program's file name in tracebacks."""
CHANNEL = 3
_write = os.write
_cpu, _wall = time.thread_time_ns, time.monotonic_ns


def now() -> tuple[int, int]:
    """CPU and wall nanoseconds."""
    return _cpu(), _wall()


def record(letter: bytes, text: str | bytes, since: tuple[int, int] | None = None) -> None:
    """Write a record; see `protocol.RECORDS`.

    Args:
        letter: its kind.
        text: ASCII, or bytes.
        since: when the case began, as `now` gives it.
    """
    cpu, wall = ((_cpu() - since[0]) // 1000, (_wall() - since[1]) // 1000) if since else (0, 0)
    body = text if isinstance(text, bytes) else text.encode("ascii", "backslashreplace")
    if len(body) > protocol.MOST_RECORD:
        letter, body = b"l", b""
    view = memoryview(protocol.record(letter, body, cpu, wall))
    while view:
        view = view[_write(CHANNEL, view) :]


def describe(error: BaseException) -> str:
    """Kind, message and line of an error, for people."""
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        message = str(error)[:300]
    except BaseException:  # noqa: BLE001
        message = "(its message cannot be shown)"
    where = f" (line {line})" if line else ""
    return f"{type(error).__name__}: {message}{where}"
