"""The warm parent: takes jobs, forks one process per program, watches it, reports.

Runs as process 1 of the sandbox, without rights. Frames on both pipes are a 4-byte length and a
JSON list of messages. From the host: `["suite", id, {...}]`, `["forget", id]`,
`["job", id, suite, code, first, isolate, stop]`, `["stop", id]`. To the host: `["hello", {...}]`,
`["case", id, index, outcome, text, cpu, wall, memory]`, `["end", id, changed]`.
Nothing here knows an expected output: it says what a program did, and the host judges.
Standard library only.
"""

from __future__ import annotations

import ast
import errno
import gc
import json
import os
import resource
import select
import signal
import struct
import sys
import time
from collections import deque
from typing import Any

from funprm.executors import _program, syscalls

_COMMANDS, _REPLIES = 200, 201
_QUIET = 0.005
"""Seconds in which only a program's end is waited for: most end within, and nothing else wakes."""
_FLUSH = 0.02
_RECORD_BYTES = 64 << 20
_READ = 1 << 16


class _Died(Exception):
    """The host is gone, or the sandbox can no longer be trusted."""


class _Child:
    """One running program as the warm parent sees it."""

    def __init__(self, pid: int, channel: int, stdout: int, nonce: bytes) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.channel = channel
        self.stdout = stdout
        self.nonce = nonce
        self.clock = (~pid << 3) | 2  # the process's CPU clock, see clock_getcpuclockid(3)
        self.rest = b""
        self.size = 0
        self.output: list[bytes] = []
        self.reason = ""
        self.failure: tuple[str, str] | None = None
        self.fatal = False
        self.changed = True
        self.finished = False
        self.cpu_mark = 0.0
        self.start = self.wall_mark = time.monotonic()

    def cpu(self) -> float:
        """CPU seconds so far."""
        try:
            return time.clock_gettime(self.clock)
        except OSError:
            return 0.0

    def kill(self, reason: str) -> None:
        """End the program, for a reason that becomes its outcome."""
        self.reason = self.reason or reason
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def read(self, fd: int, limit: int) -> bytes:
        """What there is to read; too much of it ends the program."""
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return b""
        self.size += len(data)
        if self.size > limit:
            self.kill("flood")
            return b""
        return data

    def close(self) -> None:
        """Close its descriptors on this side."""
        for fd in (self.pidfd, self.channel, self.stdout):
            if fd >= 0:
                os.close(fd)


class _Job:
    """A program, its suite, and how far it has come."""

    def __init__(self, message: list[Any], suite: dict[str, Any]) -> None:
        _, self.id, _, self.code, self.next, self.isolate, self.stop_at_failure = message
        self.suite = suite
        self.one_by_one = self.isolate or suite["kind"] != "functional"
        self.compiled = b""
        self.stopped = False
        self.changed = False
        self.memory = 0.0

    @property
    def done(self) -> bool:
        """No case is left to be run."""
        return self.stopped or self.next >= self.suite["total"]


class _Parent:
    """The loop of the warm parent."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._inbox = b""
        self._outbox: list[list[Any]] = []
        self._flushed = 0.0
        self._queue: deque[_Job] = deque()
        self._suites: dict[int, dict[str, Any]] = {}
        self._preludes: dict[str, dict[str, Any] | None] = {"": {}}
        self._current: tuple[_Job, _Child] | None = None
        self._base_vm, self._base_rss = _memory_of_self()
        self._filters = (
            {
                processes: syscalls.program_filter(processes=processes).program()
                for processes in (False, True)
            }
            if "seccomp" not in layers.off
            else {}
        )

    # --- messages ---

    def serve(self) -> _program.Task:
        """Work until the host goes away; returns only in a child, with what it must run."""
        self._send(["hello", {"off": self._layers.off, "python": sys.version.split()[0]}])
        while True:
            if not self._queue:
                self._flush()
            while not self._queue:
                self._receive()
            task = self._run(self._queue.popleft())
            if task is not None:
                return task

    def _receive(self) -> None:
        data = os.read(_COMMANDS, _READ)
        if not data:
            raise _Died("the host closed the stream")
        self._inbox += data
        while len(self._inbox) >= 4:
            end = 4 + int.from_bytes(self._inbox[:4], "little")
            if len(self._inbox) < end:
                return
            messages = json.loads(self._inbox[4:end])
            self._inbox = self._inbox[end:]
            for message in messages:
                self._handle(message)

    def _handle(self, message: list[Any]) -> None:
        kind = message[0]
        if kind == "job":
            self._queue.append(_Job(message, self._suites[message[2]]))
        elif kind == "suite":
            self._suites[message[1]] = self._prepared(message[2])
        elif kind == "forget":
            del self._suites[message[1]]
        elif self._current is not None and self._current[0].id == message[1]:
            job, child = self._current
            job.stopped = True
            child.kill("stop")

    def _send(self, message: list[Any]) -> None:
        self._outbox.append(message)
        if len(self._outbox) >= 1000:
            self._flush()

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if self._outbox:
            body = json.dumps(self._outbox).encode()
            self._outbox = []
            view = memoryview(struct.pack("<I", len(body)) + body)
            while view:
                view = view[os.write(_REPLIES, view) :]

    # --- suites ---

    def _prepared(self, suite: dict[str, Any]) -> dict[str, Any]:
        prelude = suite["prelude"]
        if prelude not in self._preludes:
            self._preludes[prelude] = _warm_prelude(prelude)
        if suite["kind"] == "functional":
            suite["arguments"] = [[json.loads(a) for a in t.split("\n")] for t in suite["inputs"]]
        elif suite["kind"] == "stdin":
            suite["streams"] = [t.encode("utf-8", "surrogateescape") for t in suite["inputs"]]
        elif suite["kind"] == "unittest":
            __import__("unittest.mock")
        self._base_vm, self._base_rss = _memory_of_self()
        gc.freeze()
        return suite

    # --- one job ---

    def _run(self, job: _Job) -> _program.Task | None:
        while not job.done:
            started = self._fork(job)
            if isinstance(started, _program.Task):
                return started
            self._current = job, started
            self._watch(job, started)
            self._current = None
            started.close()
            self._wipe()
        self._send(["end", job.id, job.changed, job.memory])
        if time.monotonic() - self._flushed > _FLUSH:
            self._flush()
        return None

    def _fork(self, job: _Job) -> _program.Task | _Child:
        channel, channel_w = os.pipe()
        stdout = stdout_w = -1
        if job.suite["kind"] == "stdin":
            stdout, stdout_w = os.pipe()
        nonce = os.urandom(16).hex().encode() if job.suite["kind"] in ("check", "unittest") else b""
        task = self._task(job, channel_w, stdout_w, nonce)
        pid = os.fork()
        if pid == 0:
            return task
        child = _Child(pid, channel, stdout, nonce)
        os.close(channel_w)
        os.set_blocking(channel, False)
        if stdout >= 0:
            os.close(stdout_w)
            os.set_blocking(stdout, False)
        return child

    def _task(self, job: _Job, channel: int, stdout: int, nonce: bytes) -> _program.Task:
        suite = job.suite
        task = _program.Task()
        task.suite, task.code, task.compiled = suite, job.code, job.compiled
        task.namespace = self._preludes[suite["prelude"]]
        task.channel, task.stdout, task.stdin, task.arguments = channel, stdout, b"", []
        task.proof = [nonce]
        end = job.next + 1 if job.one_by_one else suite["total"]
        if suite["kind"] == "functional":
            task.arguments = suite["arguments"][job.next : end]
        elif suite["kind"] == "stdin":
            task.stdin = suite["streams"][job.next]
        limits = _limits(suite, self._base_vm, end - job.next)
        task.confine = _confinement(limits, self._filter(suite["processes"]))
        if "limits" in self._layers.off:
            limits.clear()
        return task

    def _filter(self, processes: bool) -> int:
        if not self._filters:
            return 0
        if "pid" in self._layers.off:
            rules = syscalls.program_filter(processes=processes, only_pid=os.getpid())
            self._filters[processes] = rules.program()
        return self._filters[processes][1]

    # --- watching ---

    def _watch(self, job: _Job, child: _Child) -> None:
        """Wait for the program's end, or bring it about; then report what it did."""
        poll = select.poll()
        poll.register(child.pidfd, select.POLLIN)
        if not poll.poll(_QUIET * 1000):
            self._watch_long(job, child, poll)
        _, status, usage = os.wait4(child.pid, 0)
        self._sweep(child)
        while self._read_channel(job, child):
            pass
        while child.stdout >= 0 and self._read_stdout(job, child):
            pass
        job.memory = max(job.memory, usage.ru_maxrss / 1024 - self._base_rss)
        self._conclude(job, child, status, usage.ru_utime + usage.ru_stime)

    def _watch_long(self, job: _Job, child: _Child, poll: select.poll) -> None:
        for fd in (child.channel, child.stdout, _COMMANDS):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        while True:
            ready = dict(poll.poll(1000 * self._time_left(job, child) + 1))
            if child.channel in ready and not self._read_channel(job, child):
                poll.unregister(child.channel)
            if child.stdout in ready and not self._read_stdout(job, child):
                poll.unregister(child.stdout)
            if _COMMANDS in ready:
                self._receive()
            if child.pidfd in ready:
                return
            if time.monotonic() - self._flushed > _FLUSH:
                self._flush()

    def _time_left(self, job: _Job, child: _Child) -> float:
        """Seconds until the next look; ends the program when its time is over."""
        suite = job.suite
        cpu_left, wall_left = self._measure(job, child)
        if min(cpu_left, wall_left) <= 0:  # has it answered, and was not heard yet?
            self._read_channel(job, child)
            cpu_left, wall_left = self._measure(job, child)
        if cpu_left <= 0:
            child.kill("time")
        elif wall_left <= 0:
            child.kill("wall")
        elif suite["processes"] and _tree(child.pid)[1] - self._base_rss > suite["memory"]:
            child.kill("memory")
        if child.reason:
            return 1.0
        look = 0.1 if suite["processes"] else 5.0
        if self._outbox:
            look = min(look, _FLUSH)
        return min(look, max(0.002, min(cpu_left, wall_left)))

    def _measure(self, job: _Job, child: _Child) -> tuple[float, float]:
        suite = job.suite
        cpu = child.cpu() - child.cpu_mark
        if suite["processes"]:
            cpu = max(cpu, _tree(child.pid)[0])
        wall = time.monotonic() - child.wall_mark
        if wall > suite["wall"]:
            wall -= min(_waited(child.pid), 0.9 * wall)
        return suite["cpu"] - cpu, suite["wall"] - wall

    def _read_channel(self, job: _Job, child: _Child) -> bool:
        """Take what the program's side has recorded; False at the end of the stream."""
        data = child.read(child.channel, _RECORD_BYTES)
        if data:
            *lines, child.rest = (child.rest + data).split(b"\n")
            for line in lines:
                self._take(job, child, line)
            if lines:
                child.cpu_mark, child.wall_mark = child.cpu(), time.monotonic()
        return bool(data)

    def _read_stdout(self, job: _Job, child: _Child) -> bool:
        data = child.read(child.stdout, job.suite["output"])
        child.output.append(data)
        return bool(data)

    def _take(self, job: _Job, child: _Child, line: bytes) -> None:
        """Note one record. It may be forged, so it decides nothing but what it says."""
        head, _, text = line.decode("ascii", "replace").partition(" ")
        letter, times = head[:1], head[1:].partition(":")
        functional = job.suite["kind"] == "functional"
        if letter == "s" and functional:
            child.changed, child.finished = text != "0", True
        elif letter == "x" and job.suite["kind"] == "stdin":
            child.finished = True
        elif letter == "p" and child.nonce:
            child.finished = text.encode() == child.nonce
        elif letter == "c" and job.suite["share_code"] and not job.compiled:
            job.compiled = bytes.fromhex(text)
        elif letter == "E":
            child.failure, child.fatal = ("error", text), True
        elif letter in _OUTCOMES and functional and letter != "E":
            self._case(job, _OUTCOMES[letter], text, _seconds(times[0]), _seconds(times[2]))
        elif letter in "em":
            child.failure = _OUTCOMES[letter], text

    # --- reporting ---

    def _case(self, job: _Job, outcome: str, text: str, cpu: float, wall: float) -> None:
        if job.done:
            return
        if cpu > job.suite["cpu"]:
            outcome, text = "time", ""
        self._send(["case", job.id, job.next, outcome, text, cpu, wall, job.memory])
        job.next += 1
        if outcome not in ("output", "opaque") and job.stop_at_failure:
            job.stopped = True

    def _conclude(self, job: _Job, child: _Child, status: int, cpu: float) -> None:
        """Report the case in which the program ended, if that is not done yet."""
        job.changed = job.changed or child.changed
        if child.reason == "stop" or job.done:
            return
        wall = time.monotonic() - child.start
        single = job.suite["kind"] != "functional"
        if single or not child.finished:
            outcome, text = self._outcome(job, child, status, cpu)
            self._case(job, outcome, text, cpu if single else cpu - child.cpu_mark, wall)
            while child.fatal and not job.done:
                self._case(job, outcome, text, 0.0, 0.0)
        elif not job.one_by_one:
            while not job.done:  # it claims to have ended, but has not answered
                self._case(job, "error", "the program answered fewer cases than there are", 0, 0)

    def _outcome(self, job: _Job, child: _Child, status: int, cpu: float) -> tuple[str, str]:
        code = os.waitstatus_to_exitcode(status)
        if child.reason:
            return child.reason, ""
        if cpu - child.cpu_mark > job.suite["cpu"] or code == -signal.SIGXCPU:
            return "time", ""
        if child.failure:
            return child.failure
        if child.finished or (job.suite["kind"] == "stdin" and code == 0):
            return "output", b"".join(child.output).decode("utf-8", "surrogateescape")
        if code < 0:
            return "error", f"killed by {signal.Signals(-code).name}"
        return "error", f"ended with exit code {code} before it was done"

    # --- leaving nothing behind ---

    def _sweep(self, child: _Child) -> None:
        """End every process that the program started."""
        while True:
            try:
                if self._layers.sweeps:
                    os.kill(-1, signal.SIGKILL)
                else:
                    os.killpg(child.pid, signal.SIGKILL)
            except OSError as error:
                if error.errno not in (errno.ESRCH, errno.EPERM):
                    raise
            try:
                os.waitpid(-1, 0 if self._layers.sweeps else os.WNOHANG)
            except ChildProcessError:
                return
            if not self._layers.sweeps:
                _kill_descendants()

    def _wipe(self) -> None:
        for folder in self._layers.scratch:
            if os.listdir(folder):
                _empty(folder)


_OUTCOMES = {"o": "output", "q": "opaque", "e": "error", "m": "memory"}


def _seconds(microseconds: str) -> float:
    return int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0


def serve(layers: Any) -> _program.Task:
    """Be the warm parent on descriptors 0 and 1; returns only in a child.

    Args:
        layers: the `isolation.Isolation` in force.
    """
    os.dup2(0, _COMMANDS, inheritable=False)
    os.dup2(1, _REPLIES, inheritable=False)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.chdir(layers.scratch[0])
    gc.collect()
    gc.disable()
    gc.freeze()
    parent = _Parent(layers)
    parent.keep = parent  # type: ignore[attr-defined]  # never freed, and reachable by no one
    try:
        return parent.serve()
    except _Died:
        os._exit(0)


def _warm_prelude(source: str) -> dict[str, Any] | None:
    """The names that a prelude binds, if it does nothing but import standard modules."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    if not all(_is_harmless(node) for node in tree.body):
        return None
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(source, "prelude.py", "exec", dont_inherit=True), namespace)
    except Exception:  # noqa: BLE001  (the program will meet the same error)
        return None
    return namespace


def _is_harmless(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and (node.module or "").partition(".")[0] in _STANDARD
    if isinstance(node, ast.Import):
        return all(name.name.partition(".")[0] in _STANDARD for name in node.names)
    return isinstance(node, ast.Expr | ast.Assign) and ast.unparse(node) in _HARMLESS


_STANDARD = sys.stdlib_module_names - {"antigravity", "this", "idlelib", "tkinter", "turtle"}
_HARMLESS = ("sys.setrecursionlimit(50000)", "inf = float('inf')")


def _limits(suite: dict[str, Any], base_vm: float, cases: int) -> dict[int, int]:
    return {
        resource.RLIMIT_AS: int((base_vm + suite["memory"] + 64) * (1 << 20)),
        resource.RLIMIT_CPU: int(suite["cpu"] * cases) + 2,
        resource.RLIMIT_FSIZE: suite["file"],
    }


def _confinement(limits: dict[int, int], filter_address: int) -> Any:
    def confine() -> None:
        os.setsid()
        for which, value in limits.items():
            resource.setrlimit(which, (value, value))
        if filter_address:
            syscalls.install(filter_address)

    return confine


def _memory_of_self() -> tuple[float, float]:
    """Mebibytes of address space and of resident memory."""
    try:
        with open("/proc/self/statm") as file:
            size, resident = file.read().split()[:2]
    except OSError:
        return 256.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    page = resource.getpagesize() / (1 << 20)
    return int(size) * page, int(resident) * page


def _tree(pid: int) -> tuple[float, float]:
    """CPU seconds and resident mebibytes of all processes of the program, where /proc tells."""
    cpu, pages = 0.0, 0
    ticks = os.sysconf("SC_CLK_TCK")
    for name in os.listdir("/proc") if os.path.isdir("/proc/1") else []:
        if name.isdecimal() and name != "1":
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            times = fields[11:15] if int(name) == pid else fields[11:13]
            cpu += sum(map(int, times)) / ticks
            pages += int(fields[21])
    return cpu, pages * resource.getpagesize() / (1 << 20)


def _waited(pid: int) -> float:
    """Seconds for which a process could have run but had no processor."""
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _kill_descendants() -> None:
    """End adopted processes, where no signal reaches all of a sandbox and nothing else."""
    for pid in _children(os.getpid()):
        for descendant in (pid, *_children(pid)):
            try:
                os.kill(descendant, signal.SIGKILL)
            except OSError:
                pass


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(p) for p in file.read().split()]
    except OSError:
        return []


def _empty(folder: str) -> None:
    """Delete all in a folder, however deep: what is inside a subfolder is moved up first."""
    number = 0
    while names := os.listdir(folder):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isdir(path):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            for inner in os.listdir(path):
                number += 1
                source = os.path.join(path, inner)
                if not os.path.islink(source):
                    os.chmod(source, 0o700)  # a folder can be moved only if it is writable
                os.rename(source, os.path.join(folder, f".{number}"))
            os.rmdir(path)
