"""The standard streams of a process that runs several cases. Standard library only."""

from __future__ import annotations

import io
import resource
import sys
from collections.abc import Mapping
from typing import Any

from funprm.executors.inside.stateless import streams

_MOST_CPU, _MOST_MB = 0.05, 32.0


class Streams:
    """The standard streams of a process that runs several cases."""

    def __init__(self, prelude: Mapping[str, Any]) -> None:
        """Note what is there before the first case.

        Args:
            prelude: names bound before the program; those of standard input are kept up to date.
        """
        self._names = [name for name, value in prelude.items() if value is sys.stdin]
        self._streams = streams()
        self._peak = _peak_mb()

    def untouched(self, cpu: float) -> bool:
        """Whether another case may follow one that took `cpu` seconds."""
        return (
            cpu < _MOST_CPU
            and _peak_mb() - self._peak < _MOST_MB
            and all(new is old for new, old in zip(streams(), self._streams, strict=True))
            and not any(stream.closed for stream in self._streams)
        )

    def renew(self) -> dict[str, Any]:
        """Make a fresh standard input; returns the prelude's names for it.

        `sys.stdout` has been flushed, and has no other state.
        """
        old = self._streams[0]
        raw = io.BufferedReader(io.FileIO(0, closefd=False))
        new = io.TextIOWrapper(raw, encoding=old.encoding, errors=old.errors, newline="\n")
        sys.stdin = sys.__stdin__ = new  # type: ignore[misc]
        self._streams = streams()
        sys.modules["random"].seed(0)
        return dict.fromkeys(self._names, new)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
