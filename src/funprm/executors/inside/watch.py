"""A running program as the watcher sees it: its records, its time, its end.

What the program's process says may be forged. It decides nothing but what the program answered, and
no clock starts anew because of it, except that of the next case once a case has its answer.
Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Container, Iterator
from typing import Any

from funprm.executors import protocol
from funprm.executors.inside.clocks import LONGEST_LOOK, Clocks
from funprm.executors.inside.ends import ended_early
from funprm.executors.inside.gate import Gate
from funprm.executors.inside.jobs import Job
from funprm.executors.inside.task import packed
from funprm.executors.inside.usage import Processes

_READ = 1 << 16
_TREE_LOOK = 0.02
_MOST_PROCESSES = 64
_INTERPRETER = 16
"""Mebibytes of a process that runs nothing."""


class Child:
    """One process that runs the cases of a job, or one of them.

    Attributes:
        job: what it works on.
        channel, stdout: its records and output are read here; -1: nothing comes any more.
        clocks: how long its present case may still take.
        gate: where it asks whether to go on; None: it does not, or no longer.
        given: descriptors that the process gets; see `protocol.fork_order`.
        reason: why it was ended by us, or empty.
    """

    def __init__(self, job: Job, processes: Processes, scratch: str) -> None:
        """Prepare the next process of a job.

        Args:
            job: it has a case left.
            processes: the sandbox's.
            scratch: working folder of the program.
        """
        self.job = job
        self._processes = processes
        settings = job.suite.settings
        self._end = job.next + 1 if job.one_by_one else job.total
        several = self._end - job.next > 1
        self._secret = os.urandom(16).hex() if several or not job.suite.by_cases else ""
        self._mark = bytes.fromhex(self._secret) if settings["kind"] == "stdin" else b""
        self.channel, channel_w = _pipe()
        self.stdout, stdout_w, stdin = -1, -1, -1
        if settings["kind"] == "stdin":
            self.stdout, stdout_w = _pipe()
            stdin = os.memfd_create("stdin")
        gated = several and job.stop_at_failure and job.suite.by_cases
        self.gate = Gate() if gated else None
        task = self._task(scratch)
        program = packed(task, job.code, job.compiled)
        gate = self.gate.theirs if self.gate else -1
        own = [fd for fd in (program, channel_w, stdout_w, stdin, gate) if fd >= 0]
        self.given = [own[0], job.suite.file.fd, *own[1:]]
        self._to_close = own
        self._records = protocol.Records()
        self._output = bytearray()
        self._notes: list[str] = []
        self.reason = ""
        self._failure: tuple[str, bytes] | None = None
        self._fatal = self._finished = False
        self._heard = 0
        self._answered = 0
        self._claimed = 0
        self._over = False
        if settings["processes"]:
            processes.start()
        self.clocks = Clocks(settings, processes)

    def _task(self, scratch: str) -> dict[str, Any]:
        suite, settings = self.job.suite, self.job.suite.settings
        end = self._end
        names = ("kind", "entry", "prelude", "compat", "processes", "memory")
        cases = slice(self.job.next, end) if suite.by_cases else slice(0, 1)
        return {
            **{name: settings[name] for name in names},
            "stop": self.job.stop_at_failure,
            "gated": self.gate is not None,
            "secret": self._secret,
            "seconds": int(2.5 * settings["cpu"] * (end - self.job.next)) + 2,
            "scratch": scratch,
            "spans": suite.file.spans[cases],
        }

    def started(self) -> None:
        """The process has its descriptors: close them here."""
        for fd in self._to_close:
            os.close(fd)
        self._to_close = []

    def close(self) -> None:
        """Close all that is still open on this side."""
        self.started()
        self.close_gate()
        if self.channel >= 0:
            self.close_channel()
        if self.stdout >= 0:
            self.close_stdout()

    def close_gate(self) -> None:
        """It asks no more."""
        if self.gate:
            self.gate.close()
            self.gate = None

    def close_channel(self) -> None:
        """No more records will come."""
        os.close(self.channel)
        self.channel = -1

    def close_stdout(self) -> None:
        """No more output will come."""
        os.close(self.stdout)
        self.stdout = -1

    # --- time ---

    def late(self) -> str:
        """Why the program must be ended now, or empty."""
        self.clocks.measure()
        left = self.clocks.look()
        if min(left) <= 0:  # has it answered, and was not heard yet?
            self.read_channel()
            left = self.clocks.look()
        if left[0] <= 0:
            return "time"
        if left[1] <= 0:
            return "wall"
        settings = self.job.suite.settings
        if settings["processes"]:
            if self._processes.memory(settings["memory"]) > settings["memory"] + _INTERPRETER:
                return "memory"
            if len(self._processes.members()) > _MOST_PROCESSES:
                self._failure = "error", b"more processes than a program may have"
                return "error"
        self._left = left
        return ""

    def next_look(self) -> float:
        """Seconds until `late` should be asked again, or something else be done."""
        longest = _TREE_LOOK if self.job.suite.settings["processes"] else LONGEST_LOOK
        if self.gate and self.gate.held:
            longest = min(longest, self.gate.left())
        return min(longest, max(0.002, min(self._left)))

    # --- what it says ---

    def read_all(self) -> None:
        """Read what is left, after the end of all its processes."""
        self._over = True
        while self.read_channel():
            pass
        while self.read_stdout():
            pass

    def said_at(self) -> Iterator[int]:
        """Descriptors at which the process may say something."""
        for fd in (self.channel, self.stdout):
            if fd >= 0:
                yield fd
        if self.gate and not self.gate.held:
            yield self.gate.fileno()

    def read(self, ready: Container[int]) -> None:
        """Take what has come at some of the descriptors.

        Records may take output along: read after them, it would look as if it had ended.
        """
        if self.stdout in ready and not self.read_stdout():
            self.close_stdout()
        if self.channel in ready and not self.read_channel():
            self.close_channel()

    def read_channel(self) -> bool:
        """Take records; False once nothing more will come or counts."""
        data = self._read(self.channel)
        if not data or self.reason:
            return bool(data)
        self._heard += len(data)
        before = self._answered
        try:
            for record in self._records.take(data):
                self._take(*record)
        except protocol.ProtocolError:
            self._damage("the program wrote to the judge's channel")
        if self._heard > 2 * protocol.MOST_RECORD:
            self.reason = self.reason or "flood"
        if self._answered > before:
            self._next_case()
        return True

    def _next_case(self) -> None:
        """A case has its answer: the clocks of the next one start, as measured here."""
        self._heard = 0
        if not self._over:
            self._claimed = 0
            self.clocks.restart()

    def _damage(self, what: str) -> None:
        """The program has damaged its own judging."""
        self._failure = self._failure or ("error", what.encode())
        self.reason = self.reason or "error"

    def read_stdout(self) -> bool:
        """Take standard output; False at the end of the stream."""
        data = self._read(self.stdout)
        if not self.reason:
            self._output += data
            if len(self._output) > self.job.suite.settings["output"]:
                self.reason = "flood"
        return bool(data)

    def _read(self, fd: int) -> bytes:
        try:
            return os.read(fd, _READ) if fd >= 0 else b""
        except BlockingIOError:
            return b""

    def _take(self, letter: bytes, cpu: int, wall: int, text: bytes) -> None:
        kind = self.job.suite.settings["kind"]
        outcome = protocol.RECORDS[letter]
        if letter in b"ac" and self.job.suite.by_cases:
            self._take_parting(letter, text)
        elif kind == "functional" and letter != b"E" and outcome:
            self._answer(outcome, text, cpu, wall)
        elif outcome and letter in b"ewmE" and not self._failure:
            self._failure = outcome, text
            self._fatal = letter == b"E"
        elif kind == "stdin" and letter == b"x":
            self._take_output(cpu, wall)
        elif kind == "calls" and letter in b"ox":  # an answer, and the end of them
            self._output += text
            self._finished = letter == b"x"
        elif letter == b"s" and kind == "check":
            self._notes = [protocol.SHARED]
        elif letter == b"p" and self._secret and not self.job.suite.by_cases:
            self._take_proof(text)
        else:
            raise protocol.ProtocolError("a record that does not belong to its suite")

    def _take_proof(self, text: bytes) -> None:
        """Test code came to its end; what follows the secret is for the host."""
        secret = self._secret.encode()
        self._finished = text.startswith(secret)
        if self._finished and self.job.suite.settings["kind"] == "check":
            text = secret + json.dumps(self._notes).encode()
        if self._finished:
            self._output[:] = text[len(secret) :]

    def _take_parting(self, letter: bytes, text: bytes) -> None:
        """Later cases have a process each; the compiled program counts only as first record."""
        if letter == b"a":
            if self.job.one_by_one:
                raise protocol.ProtocolError("a case that is alone already")
            self.job.one_by_one = True
            self._end = self.job.next + (not self._answered)
            if not self._answered:
                self._mark = b""
        elif not self._answered and not self.job.compiled:
            self.job.compiled = text

    def _take_output(self, cpu: int, wall: int) -> None:
        """Report a case whose output has come to its mark."""
        if not self._mark:
            if self._finished:
                raise protocol.ProtocolError("a case that has ended already")
            self._finished = True
            return
        place, size = -1, 0
        while place < 0:
            place = self._output.find(self._mark, max(0, size - len(self._mark)))
            size = len(self._output)
            if place < 0 and (not self.read_stdout() or self.reason):
                raise protocol.ProtocolError("the end of a case without its mark")
        text = bytes(memoryview(self._output)[:place])
        del self._output[: place + len(self._mark)]
        self._answer("output", text, cpu, wall)

    def _answer(self, outcome: str, text: bytes, cpu: int, wall: int) -> None:
        """A case is over, as the process says."""
        if self.job.next >= self._end:
            return
        self._answered += 1
        self._claimed += cpu
        if self.clocks.is_over(cpu / 1e6):
            outcome, text = "time", b""
        self.job.report(outcome, text, cpu, wall)

    # --- its end ---

    def conclude(self, status: int, cpu: float) -> None:
        """Report the case in which the program ended, if that is not done yet.

        Args:
            status: as `os.wait4` gives it.
            cpu: CPU seconds of all its processes.
        """
        job = self.job
        if self.reason == "stop" or job.done or job.next >= self._end:
            return
        wall = self.clocks.wall()
        if job.suite.settings["processes"] and self._processes.group:
            cpu = max(cpu, self._processes.cpu())  # nobody may have collected some of them
        spent = self.clocks.since_mark(cpu)
        outcome, text = self._outcome(status, spent)
        job.report(outcome, text, max(0, int(1e6 * spent) - self._claimed), int(1e6 * wall))
        while self._fatal and not job.done:
            job.report(outcome, text, 0, 0)

    def _answers(self) -> bytes:
        """What calls gave before time or memory ran out; the host may find a wrong one in it."""
        return bytes(self._output) if self.job.suite.settings["kind"] == "calls" else b""

    def _outcome(self, status: int, spent: float) -> tuple[str, bytes]:
        code = os.waitstatus_to_exitcode(status)
        if self.reason and self.reason != "error":
            return self.reason, self._answers()
        if self.clocks.is_over(spent) or code == -signal.SIGXCPU:
            return "time", self._answers()
        if self._failure:
            return self._failure
        if self._finished or (self.job.suite.settings["kind"] == "stdin" and code == 0):
            return "output", bytes(self._output)
        return ended_early(code, self._processes)


def _pipe() -> tuple[int, int]:
    """A pipe of which the reading end never waits."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    return reading, writing
