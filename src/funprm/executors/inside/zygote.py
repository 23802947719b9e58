"""The warm parent: takes jobs, forks one process per program, watches it, reports.

Runs as process 1 of the sandbox, without rights. Frames on both pipes are a 4-byte length and a
JSON list of messages. From the host: `["suite", id, {...}]`, `["forget", id]`,
`["job", id, suite, code, first, one_by_one, stop]`, `["stop", id]`. To the host:
`["hello", {...}]`, `["cases", id, first, memory, [[outcome, text, cpu, wall], ...]]` (memory in
mebibytes, times in microseconds), `["end", id, changed]`. Nothing here knows an expected output:
it says what a program did, and the host judges. Standard library only.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import resource
import select
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from funprm.executors.inside import cleanup, clock, program, syscalls
from funprm.executors.inside.watch import Child, Job

_COMMANDS, _REPLIES = 200, 201
_QUIET = 0.005
"""Seconds in which only a program's end is waited for: most end within, and nothing else wakes."""
_FLUSH = 0.02
"""Seconds for which reports may wait for company."""
_READ = 1 << 16
_STANDARD = sys.stdlib_module_names - {"antigravity", "this", "idlelib", "tkinter", "turtle"}
_HARMLESS = ("sys.setrecursionlimit(50000)", "inf = float('inf')")


class HostGoneError(Exception):
    """The host has closed the stream of commands."""


class _Parent:
    """The loop of the warm parent."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._inbox = b""
        self._outbox: list[list[Any]] = []
        self._flushed = 0.0
        self._queue: deque[Job] = deque()
        self._suites: dict[int, dict[str, Any]] = {}
        self._preludes: dict[str, dict[str, Any] | None] = {"": {}}
        self._current: Child | None = None
        self._base_vm, self._base_rss = cleanup.memory_of_self()
        self._install: dict[bool, Callable[[], object]] = {}
        if "seccomp" not in layers.off:
            for processes in (False, True):
                rules = syscalls.program_filter(processes=processes)
                self._install[processes] = rules.installer()

    def serve(self) -> program.Task:
        """Work until the host goes away; returns only in a child, with what it must run."""
        hello = {"off": self._layers.off, "python": sys.version.split()[0]}
        self._outbox.append(["hello", hello])
        while True:
            if not self._queue:
                self._flush()
            while not self._queue:
                self._receive()
            task = self._run(self._queue.popleft())
            if task is not None:
                return task

    # --- messages ---

    def _receive(self) -> None:
        data = os.read(_COMMANDS, _READ)
        if not data:
            raise HostGoneError
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
            self._queue.append(Job(message, self._suites[message[2]]))
        elif kind == "suite":
            self._suites[message[1]] = self._prepared(message[2])
        elif kind == "forget":
            del self._suites[message[1]]
        elif self._current is not None and self._current.job.id == message[1]:
            self._current.job.stopped = True
            self._current.kill("stop")

    def _report(self, job: Job) -> None:
        if job.reports:
            first = job.next - len(job.reports)
            self._outbox.append(["cases", job.id, first, round(job.memory, 1), job.reports])
            job.reports = []

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if self._outbox:
            body = json.dumps(self._outbox).encode()
            self._outbox = []
            view = memoryview(struct.pack("<I", len(body)) + body)
            while view:
                view = view[os.write(_REPLIES, view) :]

    def _prepared(self, suite: dict[str, Any]) -> dict[str, Any]:
        """Do for a suite what need not be done for each of its programs."""
        prelude = suite["prelude"]
        if prelude not in self._preludes:
            self._preludes[prelude] = _warm_prelude(prelude)
        if suite["kind"] == "functional":
            suite["arguments"] = [[json.loads(a) for a in t.split("\n")] for t in suite["inputs"]]
        elif suite["kind"] == "stdin":
            suite["streams"] = [t.encode("utf-8", "surrogateescape") for t in suite["inputs"]]
        elif suite["kind"] == "unittest":
            __import__("unittest.mock")
        self._base_vm, self._base_rss = cleanup.memory_of_self()
        gc.freeze()
        return suite

    # --- one job ---

    def _run(self, job: Job) -> program.Task | None:
        while not job.done:
            started = self._fork(job)
            if isinstance(started, program.Task):
                return started
            self._current = started
            self._watch(started)
            self._current = None
            started.close()
            for folder in self._layers.scratch:
                if os.listdir(folder):
                    cleanup.empty(folder)
        self._report(job)
        self._outbox.append(["end", job.id, job.changed])
        if time.monotonic() - self._flushed > _FLUSH:
            self._flush()
        return None

    def _fork(self, job: Job) -> program.Task | Child:
        channel, channel_w = os.pipe()
        stdout, stdout_w = os.pipe() if job.suite["kind"] == "stdin" else (-1, -1)
        proven = job.suite["kind"] in ("check", "unittest")
        task = self._task(job, channel_w, stdout_w)
        secret = os.urandom(16) if proven or len(task.streams) > 1 else b""
        task.proof, task.mark = [secret.hex().encode()], b"" if proven else secret
        pid = os.fork()
        if pid == 0:
            return task
        for fd in (channel_w, stdout_w):
            if fd >= 0:
                os.close(fd)
        own_proc = "pid" not in self._layers.off and "mount" not in self._layers.off
        return Child(job, pid, (channel, stdout), secret, self._base_rss if own_proc else -1.0)

    def _task(self, job: Job, channel: int, stdout: int) -> program.Task:
        suite = job.suite
        task = program.Task()
        task.suite, task.code, task.compiled = suite, job.code, job.compiled
        task.namespace = self._preludes[suite["prelude"]]
        task.channel, task.stdout, task.streams, task.arguments = channel, stdout, [], []
        end = job.next + 1 if job.one_by_one else suite["total"]
        if suite["kind"] == "functional":
            task.arguments = suite["arguments"][job.next : end]
        elif suite["kind"] == "stdin":
            task.streams = suite["streams"][job.next : end]
        task.stop = job.stop_at_failure
        task.limits = []
        if "limits" not in self._layers.off:
            task.limits = _limits(suite, self._base_vm, end - job.next)
        task.own_group = not self._layers.sweeps
        task.install = self._installer(suite["processes"])
        return task

    def _installer(self, processes: bool) -> Callable[[], object]:
        """What puts the program's own seccomp filter into force, when called in the child."""
        if not self._install or "pid" not in self._layers.off:
            return self._install.get(processes, int)
        return lambda: syscalls.program_filter(processes=processes, only_pid=os.getpid()).install()

    # --- watching ---

    def _watch(self, child: Child) -> None:
        """Wait for the program's end, or bring it about; then note what it did."""
        poll = select.poll()
        poll.register(child.pidfd, select.POLLIN)
        if not poll.poll(_QUIET * 1000):
            self._watch_long(child, poll)
        _, status, usage = os.wait4(child.pid, 0)
        cleanup.sweep(child.pid, everything=self._layers.sweeps)
        child.read_all()
        child.job.memory = max(child.job.memory, usage.ru_maxrss / 1024 - self._base_rss)
        child.conclude(status, usage.ru_utime + usage.ru_stime)

    def _watch_long(self, child: Child, poll: select.poll) -> None:
        for fd in (child.channel, child.stdout, _COMMANDS):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        while not self._look(child, poll):
            if time.monotonic() - self._flushed > _FLUSH:
                self._report(child.job)
                self._flush()

    def _look(self, child: Child, poll: select.poll) -> bool:
        """Wait for something to happen; True at the program's end."""
        wait = child.seconds_left()
        if self._outbox or child.job.reports:
            wait = min(wait, _FLUSH)
        ready = {fd for fd, _ in poll.poll(1000 * wait + 1)}
        # Records may take output along: read after them, it would look as if it had ended.
        if child.stdout in ready and not child.read_stdout():
            poll.unregister(child.stdout)
        if child.channel in ready and not child.read_channel():
            poll.unregister(child.channel)
        if _COMMANDS in ready:
            self._receive()
        return child.pidfd in ready


def serve(layers: Any) -> program.Task:
    """Be the warm parent on descriptors 0 and 1; returns only in a child.

    Args:
        layers: the `isolation.Isolation` in force.
    """
    os.dup2(0, _COMMANDS, inheritable=False)
    os.dup2(1, _REPLIES, inheritable=False)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 3):  # 3 is taken so that no pipe gets the number of a program's channel
        os.dup2(null, fd)
    if null > 3:
        os.close(null)
    os.chdir(layers.scratch[0])
    clock.warm_up()
    gc.collect()
    gc.disable()
    gc.freeze()
    parent = _Parent(layers)
    parent.keep = parent  # type: ignore[attr-defined]  # never freed, and reachable by no one
    try:
        return parent.serve()
    except (HostGoneError, BrokenPipeError):
        if parent._current is not None:
            parent._current.kill("stop")
            os.wait4(parent._current.pid, 0)
            cleanup.sweep(parent._current.pid, everything=layers.sweeps)
        os._exit(0)


def _limits(suite: dict[str, Any], base_vm: float, cases: int) -> list[tuple[int, int]]:
    return [
        (resource.RLIMIT_AS, int((base_vm + suite["memory"] + 64) * (1 << 20))),
        (resource.RLIMIT_CPU, int(2.5 * suite["cpu"] * cases) + 2),  # if the watch should fail
    ]


def _warm_prelude(source: str) -> dict[str, Any] | None:
    """The names that a prelude binds, if it does nothing but import standard modules."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    if not all(map(_is_harmless, tree.body)):
        return None
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(source, "prelude.py", "exec", dont_inherit=True), namespace)
    except Exception:  # noqa: BLE001  (every program will meet the same error, and be told)
        return None
    return namespace


def _is_harmless(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and (node.module or "").partition(".")[0] in _STANDARD
    if isinstance(node, ast.Import):
        return all(name.name.partition(".")[0] in _STANDARD for name in node.names)
    return isinstance(node, ast.Expr | ast.Assign) and ast.unparse(node) in _HARMLESS
