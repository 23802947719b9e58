"""The zygote: forks one process per order, collects it and all that it left.

Runs as process 1 of the sandbox, warm and without rights. Every program starts as a copy of it, so
it never holds anything of any program: a program, its inputs and its tests pass through as
descriptors of files that only the forked process reads. All it learns are numbers. Whom to watch,
when to stop and what an answer means is the watcher's business, outside. Standard library only.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from funprm.executors import protocol
from funprm.executors.inside import cleanup, filters, program, syscalls
from funprm.executors.inside.channel import CHANNEL
from funprm.executors.inside.task import Task

_PAGE = resource.getpagesize() / (1 << 20)
_LINK = 200
"""Its descriptor for orders, out of the way of those that programs get."""
_MOST_PRELUDES = 64


class WatcherGoneError(Exception):
    """The watcher has closed its end."""


class _Zygote:
    """The loop of the zygote."""

    def __init__(self, layers: Any, link: socket.socket, kept: Any) -> None:
        self._kept = kept
        self._layers = layers
        self._link = link
        self._preludes: list[dict[str, Any]] = []
        self._home = os.environ["TMPDIR"]
        self._base_vm, self._base_kb = _memory()
        self._install: dict[bool, Callable[[], object]] = {False: int, True: int}
        if "seccomp" not in layers.off:
            for processes in (False, True):
                rules = filters.of_program(processes=processes, off=layers.off)
                self._install[processes] = filters.Filter(rules, others=0).install

    def serve(self) -> Callable[[], None]:
        """Work until the watcher goes away; returns only in a child, with what it must run."""
        hello = {
            "off": self._layers.off,
            "python": sys.version.split()[0],
            "uid": os.geteuid(),
        }
        protocol.send_order(self._link, protocol.READY + json.dumps(hello).encode())
        while True:
            order, descriptors = protocol.receive_order(self._link, 6)
            if order[:1] == protocol.FORK:
                child = self._fork(protocol.number_of(order), descriptors)
                if child is not None:
                    return child
            elif order[:1] == protocol.PRELUDE:
                protocol.send_order(self._link, protocol.known(self._learn(order[1:].decode())))
            elif not order:
                raise WatcherGoneError

    def _learn(self, prelude: str) -> int:
        """Run import statements, so that no program need; their number or -1."""
        if len(self._preludes) >= _MOST_PRELUDES:
            return -1
        namespace: dict[str, Any] = {"__name__": "__main__"}
        try:
            exec(compile(prelude, "prelude.py", "exec", dont_inherit=True), namespace)
        except Exception:  # noqa: BLE001  (every program will meet the same error, and be told)
            return -1
        self._preludes.append(namespace)
        self._base_vm, self._base_kb = _memory()
        gc.freeze()
        return len(self._preludes) - 1

    def _fork(self, prelude: int, descriptors: list[int]) -> Callable[[], None] | None:
        before = _collected()
        pid = os.fork()
        if pid == 0:
            namespace = self._preludes[prelude] if prelude >= 0 else None
            return lambda: program.run(lambda: self._enter(descriptors, namespace))
        for fd in descriptors:
            os.close(fd)
        status, usage = self._wait(pid)
        cleanup.sweep(pid, everything=self._layers.sweeps)
        spent = usage.ru_utime + usage.ru_stime
        memory = max(0, usage.ru_maxrss - self._base_kb)
        report = protocol.ended(status, spent, memory, _collected() - before)
        protocol.send_order(self._link, report)
        return None

    def _wait(self, pid: int) -> tuple[int, resource.struct_rusage]:
        """Wait for the end of a program's first process; end it when told to."""
        pidfd = os.pidfd_open(pid)
        poll = select.poll()
        for fd in (pidfd, _LINK):
            poll.register(fd, select.POLLIN)
        try:
            while not any(fd == pidfd for fd, _ in poll.poll()):
                order, _ = protocol.receive_order(self._link)
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                if not order:
                    os.wait4(pid, 0)
                    cleanup.sweep(pid, everything=self._layers.sweeps)
                    raise WatcherGoneError
        finally:
            os.close(pidfd)
        return os.wait4(pid, 0)[1:]

    # --- in the child ---

    def _enter(self, descriptors: list[int], namespace: dict[str, Any] | None) -> Task:
        """Read the task, connect the streams, close all else."""
        first, suite, channel, *streams = descriptors
        task = Task(first, suite)
        task.gate = streams.pop() if task.gated else -1
        task.namespace = namespace
        program.connect(task, channel, streams)
        os.chdir(task.scratch)
        if task.scratch != self._home:
            os.environ["HOME"] = os.environ["TMPDIR"] = task.scratch
        os.setsid()  # a process group to be found by, and a share of the processor of its own
        task.confine = lambda: self._confine(task)
        return task

    def _confine(self, task: Task) -> None:
        """Give up what is left to give up, before anything of the program runs."""
        if task.processes and "pid" not in self._layers.off:
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # else its shared pages cannot be told
        if "limits" not in self._layers.off:
            room = int((self._base_vm + task.memory + 64) * (1 << 20))
            for which, value in ((resource.RLIMIT_AS, room), (resource.RLIMIT_CPU, task.seconds)):
                resource.setrlimit(which, (value, value))
        self._install[task.processes]()


def take(link: socket.socket) -> None:
    """Keep the connection to the watcher, and no other descriptor of its own but for errors."""
    os.dup2(link.fileno(), _LINK, inheritable=False)
    link.detach()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, CHANNEL):  # taken, so that nothing gets the number of a program's channel
        os.dup2(null, fd)
    _close_others()


def _close_others() -> None:
    os.closerange(CHANNEL + 1, _LINK)
    os.closerange(_LINK + 1, 4096)


def serve(layers: Any, kept: Any) -> Callable[[], None]:
    """Be the zygote; returns only in a child, with what it must run.

    Args:
        layers: the `isolation.Isolation` in force.
        kept: whatever would be freed if it were not held; in every child again, page by page.
    """
    os.setsid()
    os.dup2(0, 2)
    _close_others()
    os.chdir("/")
    gc.collect()
    gc.disable()
    gc.freeze()
    zygote = _Zygote(layers, socket.socket(fileno=_LINK), kept)
    try:
        return zygote.serve()
    except (WatcherGoneError, BrokenPipeError):
        os._exit(0)


def _collected() -> float:
    """CPU seconds of all processes that were collected, by this one or by those."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory() -> tuple[float, int]:
    """Mebibytes of address space and kibibytes of peak resident memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * _PAGE, peak
    except OSError:  # no /proc here; room enough for an interpreter
        return 256.0, peak
