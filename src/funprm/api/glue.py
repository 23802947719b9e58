"""What all verbs do with their arguments."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from funprm.console import SilentProgress, StoppableProgress, progress_for
from funprm.interfaces import Progress

T = TypeVar("T")
Settings = Mapping[str, Any]
"""Values by dotted key, in place of a configuration's: `{"generate.n": 4}`."""
Shown = bool | Progress
"""False: nothing; True: bars on a terminal, else lines; or a `Progress` of one's own."""


def path_of(place: str | Path | None) -> Path | None:
    """A place as a path."""
    return None if place is None else Path(place)


@contextmanager
def folder_of(output: str | Path | None) -> Iterator[str]:
    """The folder of a run; without one, one that ends with the call."""
    if output is not None:
        yield str(output)
        return
    with TemporaryDirectory(prefix="funprm-") as scratch:
        yield scratch


@contextmanager
def shown_by(wanted: Shown) -> Iterator[Progress]:
    """Where a verb shows how far it is."""
    if not isinstance(wanted, bool):
        yield wanted
        return
    with closing(progress_for() if wanted else SilentProgress()) as shown:
        yield shown


async def aside(work: Callable[[Progress], T], progress: Shown) -> T:
    """Work in a thread; it ends at its next sign of progress when the caller is cancelled."""
    with shown_by(progress) as shown:
        stoppable = StoppableProgress(shown)
        try:
            return await asyncio.to_thread(work, stoppable)
        except asyncio.CancelledError:
            stoppable.stop()
            raise
