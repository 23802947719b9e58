"""Worker processes: started, spoken to, and never left behind."""

import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from funprm.errors import ExecutorError
from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.local.scratch import Scratch

_SCRATCH_MB = 256
_KNOWN_SUITES = 64
_READ = 1 << 18
_GRACE = 5.0
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
        layers_off: isolation layer to reason, for layers that are not in force.
        python: version of its interpreter.
        jobs: ids of the jobs that it has and has not ended.
        pace: seconds per job, lately; 0 before the first.
    """

    def __init__(self, python: str, disable: tuple[str, ...]) -> None:
        """Start the process; it says hello when it is ready.

        Raises:
            ExecutorError: the interpreter cannot be started.
        """
        self.layers_off: dict[str, str] | None = None
        self.python = ""
        self.jobs: set[int] = set()
        self.pace = 0.0
        self._mark = 0.0
        self._suites: dict[int, int] = {}
        self._inbox = bytearray()
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
        try:
            self._process = subprocess.Popen(
                [*command, json.dumps(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**_ENVIRONMENT, "TMPDIR": self._scratch.path},
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._tidy()
            raise ExecutorError(f"cannot start {command[0]!r}: {error.strerror}") from None
        assert self._process.stdout is not None
        self.fd = self._process.stdout.fileno()

    def send(self, messages: list[Any]) -> bool:
        """Send messages in one frame; False if the worker is gone."""
        assert self._process.stdin is not None
        body = json.dumps(messages).encode()
        view = memoryview(struct.pack("<I", len(body)) + body)
        try:
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except OSError:
            return False
        return True

    def suite_messages(self, number: int, suite: PreparedSuite) -> list[Any]:
        """What the worker must be told before a job of this suite."""
        if number in self._suites:
            self._suites[number] = self._suites.pop(number)  # used last
            return []
        messages: list[Any] = [["suite", number, suite.payload()]]
        self._suites[number] = 1
        if len(self._suites) > _KNOWN_SUITES and not self.jobs:
            oldest = next(iter(self._suites))
            del self._suites[oldest]
            messages.append(["forget", oldest])
        return messages

    def note_start(self) -> None:
        """Jobs are about to be sent."""
        if not self.jobs:
            self._mark = time.monotonic()

    def note_pace(self, ended: int) -> None:
        """Jobs have ended since the last call."""
        if ended:
            now = time.monotonic()
            spent = (now - self._mark) / ended
            self.pace = spent if not self.pace else 0.7 * self.pace + 0.3 * spent
            self._mark = now

    def receive(self) -> list[Any] | None:
        """Messages that have come; None once the worker is gone."""
        try:
            data = os.read(self.fd, _READ)
        except OSError:
            data = b""
        if not data:
            return None
        self._inbox += data
        messages: list[Any] = []
        while len(self._inbox) >= 4:
            end = 4 + int.from_bytes(self._inbox[:4], "little")
            if len(self._inbox) < end:
                break
            messages += json.loads(self._inbox[4:end])
            del self._inbox[:end]
        return messages

    def hello(self) -> None:
        """Wait until the worker is ready.

        Raises:
            ExecutorError: it ended before it was.
        """
        messages = self.receive()
        while messages == []:
            messages = self.receive()
        if not messages:
            self.close()
            raise ExecutorError(f"a worker of the judge did not start: {self.error()}")
        self.layers_off = messages[0][1]["off"]
        self.python = messages[0][1]["python"]

    def error(self) -> str:
        """The last line that the process wrote to standard error."""
        with contextlib.suppress(OSError, ValueError):
            self._errors.seek(0)
            lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
            return lines[-1] if lines else "no message"
        return "no message"

    def close(self) -> None:
        """End the process with all that it runs, by force if need be, and clean up after it.

        A closed stream tells the warm parent to end its program and itself; the worker ends once
        nothing of its sandbox is left.
        """
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._tidy()

    def _tidy(self) -> None:
        with contextlib.suppress(OSError):
            self._errors.close()
        self._scratch.remove()

    @property
    def pid(self) -> int:
        """Process id of the worker on the host."""
        return self._process.pid
