"""Worker processes: started, spoken to, and never left behind."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from funprm.errors import ExecutorError
from funprm.executors import protocol
from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.local.canary import Canary
from funprm.executors.local.scratch import Scratch

_SCRATCH_MB = 256
_KNOWN_SUITES = 64
_KNOWN_BYTES = 64 << 20
_GRACE = 5.0
_PATIENCE = 60.0
"""Seconds of silence after which a worker that has work counts as dead: it speaks every second."""
_WORKER = Path(__file__).parents[1] / "inside" / "main.py"
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # isolation.py changes it where programs cannot write there
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": "/tmp/.matplotlib",
}


class Worker:
    """One worker process.

    Attributes:
        layers_off: isolation layer to reason, for layers that are not in force; None: not known.
        python: version of its interpreter.
        has_group: a control group counts what its programs use.
        ready: it has passed its test programs.
        jobs: ids of the jobs that it has and has not ended, with their bytes.
        pace: seconds per job, lately; 0 before the first.
    """

    def __init__(self, python: str, disable: tuple[str, ...]) -> None:
        """Start the process; it says hello when it is up.

        Raises:
            ExecutorError: the interpreter cannot be started.
        """
        self.layers_off: dict[str, str] | None = None
        self.python = ""
        self.has_group = False
        self.ready = False
        self.jobs: dict[int, int] = {}
        self.pace = 0.0
        self._mark = 0.0
        self._suites: dict[int, int] = {}
        self._canary = Canary()
        self._scratch = Scratch()
        config = {
            # The kernel's signal at the parent's death is one at the death of a thread.
            "parent": threading.current_thread() is threading.main_thread() and os.getpid(),
            "disable": list(disable),
            "scratch": self._scratch.path,
            "scratch_mb": _SCRATCH_MB,
        }
        self._errors = tempfile.TemporaryFile()
        command = [python or sys.executable, "-s", "-B", "-X", "utf8", str(_WORKER)]
        ours, theirs = socket.socketpair()
        self._connection = protocol.Connection(ours, protocol.TO_HOST, protocol.MOST_TO_HOST)
        try:
            self._process = subprocess.Popen(
                [*command, json.dumps(config)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env={**_ENVIRONMENT, "TMPDIR": self._scratch.path},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self._tidy()
            raise ExecutorError(f"cannot start {command[0]!r}: {error.strerror}") from None
        finally:
            theirs.close()
        self.heard = time.monotonic()

    # --- what is sent ---

    def send(self, frames: list[protocol.Frame]) -> bool:
        """Queue frames and send what can be sent now; False if the worker is gone."""
        return self._connection.send(frames)

    def suite_frames(self, number: int, suite: PreparedSuite) -> list[protocol.Frame]:
        """What the worker must be told before a job of this suite."""
        if number in self._suites:
            self._suites[number] = self._suites.pop(number)  # used last
            return []
        frame = _suite_frame(number, suite)
        frames = []
        while self._suites and self._is_much(len(frame.body)):
            oldest = next(iter(self._suites))
            del self._suites[oldest]  # jobs on their way keep what they need of it
            frames.append(protocol.Frame("forget", oldest))
        self._suites[number] = len(frame.body)
        return [*frames, frame]

    def forget(self, number: int) -> None:
        """The worker has not been told of a suite after all, or will be told again."""
        self._suites.pop(number, None)

    def _is_much(self, more: int) -> bool:
        much = sum(self._suites.values()) + more > _KNOWN_BYTES
        return much or len(self._suites) >= _KNOWN_SUITES

    @property
    def bytes_ahead(self) -> int:
        """What it has been sent and has not done with, at least."""
        return sum(self.jobs.values()) + self._connection.waiting

    def note_start(self) -> None:
        """Jobs are about to be sent."""
        if not self.jobs:
            self._mark = self.heard = time.monotonic()

    def note_pace(self, ended: int) -> None:
        """Jobs have ended since the last call."""
        if ended:
            now = time.monotonic()
            spent = (now - self._mark) / ended
            self.pace = spent if not self.pace else 0.7 * self.pace + 0.3 * spent
            self._mark = now

    # --- what comes ---

    def fileno(self) -> int:
        """The descriptor of its connection, to be polled."""
        return self._connection.fileno()

    @property
    def wants_to_send(self) -> bool:
        """Something waits until the worker takes it."""
        return self._connection.waiting > 0

    def flush(self) -> bool:
        """Send what can be sent now; False if the worker is gone."""
        return self._connection.flush()

    def receive(self) -> list[protocol.Frame] | None:
        """Frames that have come; None if the worker is gone, or talks nonsense."""
        try:
            frames = self._connection.receive()
        except protocol.ProtocolError:
            return None
        if frames:
            self.heard = time.monotonic()
        return frames

    def is_silent(self) -> bool:
        """It has something to do, and has said nothing for a long time."""
        busy = bool(self.jobs) or not self.ready
        return busy and time.monotonic() - self.heard > _PATIENCE

    def greet(self, frame: protocol.Frame) -> bool:
        """Take a frame of a worker that is not ready; False if the worker is of no use.

        Raises:
            ExecutorError: a test program does not pass.
            ProtocolError: the frame has no place here.
        """
        if frame.kind == "hello" and self.layers_off is None:
            self.layers_off = dict(frame.fields[0].get("off", {}))
            self.python = str(frame.fields[0].get("python", ""))
            self.has_group = frame.fields[0].get("group") is True
            return self.send(self._canary.frames(self.suite_frames))
        if frame.kind != "alive":
            self.ready = self._canary.take(frame)
            if self.ready:
                self._suites.clear()  # the canary's own
        return True

    def error(self) -> str:
        """The last line that the process wrote to standard error."""
        with contextlib.suppress(OSError, ValueError):
            self._errors.seek(0)
            lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
            return lines[-1] if lines else "no message"
        return "no message"

    # --- its end ---

    def close(self, *, at_once: bool = False) -> None:
        """End the process with all that it runs, by force if need be, and clean up after it.

        A closed connection tells the watcher to end its program, its zygote and itself.

        Args:
            at_once: by force from the beginning.
        """
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if at_once else _GRACE)
        self._process.kill()
        self._process.wait()
        self._tidy()

    def _tidy(self) -> None:
        self._connection.close()
        with contextlib.suppress(OSError):
            self._errors.close()
        self._scratch.remove()

    @property
    def pid(self) -> int:
        """Process id of the worker on the host."""
        return self._process.pid


def _suite_frame(number: int, suite: PreparedSuite) -> protocol.Frame:
    """A suite as a worker may know it: settings, and inputs or tests as bytes."""
    settings = suite.payload()
    inputs, tests = settings.pop("inputs"), str(settings.pop("tests"))
    parts = [tests.encode("utf-8", "surrogatepass")]
    if suite.by_cases:
        assert isinstance(inputs, list)
        parts = [protocol.encoded(str(text)) for text in inputs]
    settings["sizes"] = [len(part) for part in parts]
    return protocol.Frame("suite", number, settings, body=b"".join(parts))
