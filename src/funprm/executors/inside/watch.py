"""A running program as the warm parent sees it: its records, its time, its end.

What the program's process says may be forged. It decides nothing but what the program answered.
Standard library only.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from funprm.executors.inside import cleanup, clock

_READ = 1 << 16
_RECORD_BYTES = 64 << 20
_LONGEST_LOOK = 0.25
_TREE_LOOK = 0.1
_OUTCOMES = {"o": "output", "q": "opaque", "e": "error", "m": "memory"}


class Job:
    """A program, its suite, and how far it has come.

    Attributes:
        next: number of the first case not reported yet.
        one_by_one: every case has a process of its own.
        reports: cases reported but not sent yet, as in the message `cases`.
        changed: calls may have left state behind that later calls saw.
    """

    def __init__(self, message: list[Any], suite: dict[str, Any]) -> None:
        """Read the message `job`."""
        _, self.id, _, self.code, self.next, one_by_one, self.stop_at_failure = message
        self.suite = suite
        self.one_by_one = one_by_one or suite["kind"] not in ("functional", "stdin")
        self.compiled = b""
        self.stopped = False
        self.changed = False
        self.memory = 0.0
        self.reports: list[list[Any]] = []

    @property
    def done(self) -> bool:
        """No case is left to be run."""
        return self.stopped or self.next >= self.suite["total"]

    def report(self, outcome: str, text: str, cpu: int, wall: int) -> None:
        """Note what happened in the next case; times in microseconds."""
        if self.done:
            return
        self.reports.append([outcome, text, cpu, wall])
        self.next += 1
        if self.stop_at_failure and outcome not in ("output", "opaque"):
            self.stopped = True


class Child:
    """One process that runs the cases of a job, or one of them."""

    def __init__(
        self, job: Job, pid: int, streams: tuple[int, int], secret: bytes, base_rss: float
    ) -> None:
        """Watch a process just forked.

        Args:
            job: what it works on.
            pid: its process id.
            streams: descriptors of its records and of its standard output (or -1).
            secret: what proves that test code came to its end; or the mark behind each case's
                output, where several cases share standard streams; else empty.
            base_rss: mebibytes that a fresh process has; negative where /proc shows others too.
        """
        self.job = job
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.channel, self.stdout = streams
        for fd in streams:
            if fd >= 0:
                os.set_blocking(fd, False)
        self._nonce = secret.hex() if job.suite["kind"] != "stdin" else ""
        self._mark = secret if job.suite["kind"] == "stdin" else b""
        self._base_rss = base_rss
        self._tree = job.suite["processes"] and base_rss >= 0
        self._clock = (~pid << 3) | 2  # its CPU clock, see clock_getcpuclockid(3)
        self._rest = b""
        self._size = 0
        self._output = bytearray()
        self._reason = ""
        self._failure: tuple[str, str] | None = None
        self._fatal = False
        self._changed = job.suite["kind"] == "functional"
        self._finished = False
        self._parted = False
        self._cpu_mark = 0.0
        self._slowdowns: list[float] = []
        self._start = self._wall_mark = time.monotonic()

    def kill(self, reason: str) -> None:
        """End the program, for a reason that becomes its outcome."""
        self._reason = self._reason or reason
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """Close its descriptors on this side."""
        for fd in (self.pidfd, self.channel, self.stdout):
            if fd >= 0:
                os.close(fd)

    # --- time ---

    def seconds_left(self) -> float:
        """Seconds until the next look; ends the program when its time is over."""
        if time.monotonic() - self._start > _LONGEST_LOOK:
            self._slowdowns.append(clock.slowdown())
        left = self._measure()
        if min(left) <= 0:  # has it answered, and was not heard yet?
            self.read_channel()
            left = self._measure()
        look = _LONGEST_LOOK
        if left[0] <= 0:
            self.kill("time")
        elif left[1] <= 0:
            self.kill("wall")
        elif self._tree:
            look = _TREE_LOOK
            if cleanup.tree(self.pid)[1] - self._base_rss > self.job.suite["memory"]:
                self.kill("memory")
        return look if self._reason else min(look, max(0.002, min(left)))

    def _measure(self) -> tuple[float, float]:
        """CPU and wall seconds that the current case still has."""
        suite = self.job.suite
        cpu = self._cpu() - self._cpu_mark
        if self._tree:
            cpu = max(cpu, cleanup.tree(self.pid)[0])
        wall = time.monotonic() - self._wall_mark
        if wall > suite["wall"]:  # time in which it had no processor does not count, up to a point
            wall = max(wall - cleanup.waited(self.pid), 0.1 * wall)
        return self._limit(cpu) - cpu, suite["wall"] - wall

    def _limit(self, used: float) -> float:
        """CPU seconds that a case may use: the limit, stretched by the mean slowdown.

        The slowdown is measured at every later look, and at the latest when it must decide.
        """
        limit: float = self.job.suite["cpu"]
        if used <= limit:
            return limit
        if not self._slowdowns:
            self._slowdowns.append(clock.slowdown())
        return limit * sum(self._slowdowns) / len(self._slowdowns)

    def _cpu(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0

    # --- what it says ---

    def read_all(self) -> None:
        """Read what is left, after the end of all its processes."""
        while self.read_channel():
            pass
        while self.stdout >= 0 and self.read_stdout():
            pass

    def read_channel(self) -> bool:
        """Take records; False at the end of the stream."""
        data = self._read(self.channel, _RECORD_BYTES)
        if data:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(line.decode("ascii", "replace"))
            if lines:
                self._cpu_mark, self._wall_mark = self._cpu(), time.monotonic()
        return bool(data)

    def read_stdout(self) -> bool:
        """Take standard output; False at the end of the stream."""
        data = self._read(self.stdout, self.job.suite["output"])
        self._output += data
        return bool(data)

    def _read(self, fd: int, limit: int) -> bytes:
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return b""
        self._size += len(data)
        if self._size > limit:
            self.kill("flood")
            return b""
        return data

    def _take(self, line: str) -> None:
        head, _, text = line.partition(" ")
        letter, kind = head[:1], self.job.suite["kind"]
        if letter in _OUTCOMES and kind == "functional":
            self._take_answer(_OUTCOMES[letter], text, head[1:])
        elif letter in ("e", "m", "E"):
            self._failure = _OUTCOMES[letter.lower()], text
            self._fatal = letter == "E"
        elif kind == "stdin":
            self._take_of_streams(letter, text, head[1:])
        elif letter == "s" and kind == "functional":
            self._changed, self._finished = text != "0", True
        elif letter == "p" and self._nonce:
            self._finished = text == self._nonce

    def _take_answer(self, outcome: str, text: str, times: str) -> None:
        cpu, _, wall = times.partition(":")
        if cpu.isdecimal() and wall.isdecimal():
            self._report(outcome, text, int(cpu), int(wall))

    def _take_of_streams(self, letter: str, text: str, times: str) -> None:
        if letter == "c" and self.job.suite["share_code"] and not self.job.compiled:
            self.job.compiled = bytes.fromhex(text)
        elif letter == "x":
            self._finished = not self._mark
            self._take_output(times)
        elif letter == "a" and self._mark:
            self._parted = self.job.one_by_one = True

    def _take_output(self, times: str) -> None:
        """Report a case whose output has come to its mark."""
        while self._mark:
            end = self._output.find(self._mark)
            if end >= 0:
                text = self._output[:end].decode("utf-8", "surrogateescape")
                del self._output[: end + len(self._mark)]
                self._size = len(self._output)
                self._take_answer("output", text, times)
                return
            if not self.read_stdout():  # a record that the program made up
                return

    def _report(self, outcome: str, text: str, cpu: int, wall: int) -> None:
        if cpu > 1e6 * self._limit(cpu / 1e6):
            outcome, text = "time", ""
        self.job.report(outcome, text, cpu, wall)

    # --- its end ---

    def conclude(self, status: int, cpu: float) -> None:
        """Report the case in which the program ended, if that is not done yet.

        Args:
            status: as `os.wait4` gives it.
            cpu: CPU seconds of the whole process.
        """
        job = self.job
        job.changed = job.changed or self._changed
        if self._reason == "stop" or job.done or self._parted:
            return
        wall = time.monotonic() - self._start
        functional = job.suite["kind"] == "functional"
        if not functional or not self._finished:
            outcome, text = self._outcome(status, cpu)
            spent = cpu - self._cpu_mark if functional or self._mark else cpu
            self._report(outcome, text, int(1e6 * spent), int(1e6 * wall))
            while self._fatal and not job.done:
                job.report(outcome, text, 0, 0)
        elif not job.one_by_one:
            while not job.done:
                job.report("error", "the program answered fewer cases than there are", 0, 0)

    def _outcome(self, status: int, cpu: float) -> tuple[str, str]:
        code = os.waitstatus_to_exitcode(status)
        if self._reason:
            return self._reason, ""
        spent = cpu - self._cpu_mark
        if spent > self._limit(spent) or code == -signal.SIGXCPU:
            return "time", ""
        if self._failure:
            return self._failure
        if self._finished or (self.job.suite["kind"] == "stdin" and code == 0):
            return "output", self._output.decode("utf-8", "surrogateescape")
        if code < 0:
            return "error", f"killed by {signal.Signals(-code).name}"
        return "error", f"ended with exit code {code} before it was done"
