"""What a person sees while work goes on: bars on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from asyncio import CancelledError
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from funprm import interfaces

PLAIN_INTERVAL = 10.0
"""Seconds between lines of the plain mode."""


class Speed:
    """How fast answers are written, and how long the rest will take.

    Args:
        total: answers in all.
        done: those that were there before.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self._left = total - done
        self._ended = self._tokens = self._open = 0
        self._started = time.monotonic()

    def end(self, count: int) -> None:
        """So many answers more are whole."""
        self._ended += count

    def write(self, new: int, unfinished: int) -> None:
        """So many tokens more were written; those that unfinished answers hold."""
        self._tokens += new
        self._open = unfinished

    @property
    def begun(self) -> float:
        """What the unfinished answers amount to, in answers of the usual length."""
        return self._open / self._length() if self._ended else 0.0

    def text(self) -> str:
        """Such as `182 tokens/s, 35 s left`; empty before the first token.

        The first answers to end are short. Where the others hold more tokens than answers of their
        length would, nothing is said of the rest.
        """
        seconds = time.monotonic() - self._started
        if not self._tokens or seconds <= 0:
            return ""
        rate = self._tokens / seconds
        said = f"{rate:.0f} tokens/s" if rate >= 10 else f"{rate:.1f} tokens/s"
        usual = self._length() if self._ended else 0.0
        rest = (self._left - self._ended) * usual - self._open
        return f"{said}, {rest / rate:.0f} s left" if rest > 0 else said

    def _length(self) -> float:
        """Mean tokens of an answer."""
        return max(1.0, (self._tokens - self._open) / self._ended)


class BarProgress:
    """Progress bars, for terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[speed]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._stage = ""
        self._started = 0.0
        self._speed, self._done = Speed(0), 0

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Show a bar."""
        self.close()
        self._stage, self._started = stage, time.monotonic()
        self._speed, self._done = Speed(total, done), done
        self._task = self._bars.add_task(stage, total=total or None, completed=done, speed="")
        self._bars.start()

    def advance(self, count: int = 1) -> None:
        """Move the bar."""
        self._speed.end(count)
        self._done += count
        self._move()

    def tokens(self, new: int, unfinished: int) -> None:
        """Move the bar by parts of answers, and show how fast they are written."""
        self._speed.write(new, unfinished)
        self._move()

    def finish(self, note: str) -> None:
        """Replace the bar by a line."""
        self.close()
        seconds = time.monotonic() - self._started
        self._console.print(f"{self._stage:<9} {note}  [dim]{seconds:.1f} s[/dim]", highlight=False)

    def _move(self) -> None:
        if self._task is not None:
            at, text = self._done + self._speed.begun, self._speed.text()
            self._bars.update(self._task, completed=at, speed=text)

    def close(self) -> None:
        """Take the bar away, also after an interruption."""
        self._bars.stop()
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


class PlainProgress:
    """One line now and then, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage = ""
        self._total = self._done = 0
        self._started = self._shown = 0.0
        self._speed = Speed(0)

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Begin a stage."""
        self._speed = Speed(total, done)
        self._stage, self._total, self._done = stage, total, done
        self._started = self._shown = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Print a line if the last one is old."""
        self._done += count
        self._speed.end(count)
        self._tell()

    def tokens(self, new: int, unfinished: int) -> None:
        """Print a line if the last one is old."""
        self._speed.write(new, unfinished)
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._shown >= PLAIN_INTERVAL:
            self._shown = now
            of = f"/{self._total}" if self._total else ""
            speed = f", {text}" if (text := self._speed.text()) else ""
            self._print(f"{self._done}{of} after {now - self._started:.0f} s{speed}")

    def finish(self, note: str) -> None:
        """Print what came out."""
        self._print(f"{note}  ({time.monotonic() - self._started:.1f} s)")

    def close(self) -> None:
        """Nothing to take away."""

    def _print(self, text: str) -> None:
        self._stream.write(f"{self._stage:<9} {text}\n")
        self._stream.flush()


class SilentProgress:
    """Shows nothing: what functions use where nobody asked for progress."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Nothing."""

    def advance(self, count: int = 1) -> None:
        """Nothing."""

    def tokens(self, new: int, unfinished: int) -> None:
        """Nothing."""

    def finish(self, note: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class StoppableProgress:
    """Passes on to another, until it is stopped: then it ends the work at its next sign.

    Args:
        shown: what it passes on to.
    """

    def __init__(self, shown: interfaces.Progress) -> None:
        self._shown = shown
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the work; may be called from another thread."""
        self._stopped.set()

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage begins."""
        self._check()
        self._shown.start(stage, total, done)

    def advance(self, count: int = 1) -> None:
        """Units are done."""
        self._check()
        self._shown.advance(count)

    def tokens(self, new: int, unfinished: int) -> None:
        """Tokens were written."""
        self._check()
        if heard := getattr(self._shown, "tokens", None):
            heard(new, unfinished)

    def finish(self, note: str) -> None:
        """The stage is complete."""
        self._shown.finish(note)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise CancelledError("the caller was cancelled")


def progress_for(stream: TextIO | None = None) -> BarProgress | PlainProgress:
    """Bars where the stream (default: standard error) is a terminal, else plain lines."""
    stream = stream or sys.stderr
    if stream.isatty():
        return BarProgress(Console(file=stream))
    return PlainProgress(stream)
