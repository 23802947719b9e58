"""The watcher: takes jobs from the host, has processes made for them, watches them, reports.

It stands outside of the process namespace of the programs, and is the only one that knows several
of them at once: the zygote, which programs are copies of, knows none. Whatever comes is read when
it comes and written when it can be: nothing here waits for one side alone. Nothing here knows an
expected output: it says what a program did, and the host judges. Standard library only.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import deque

from funprm.executors import protocol
from funprm.executors.inside import clock
from funprm.executors.inside.folders import Folders
from funprm.executors.inside.isolation import Isolation
from funprm.executors.inside.jobs import Job, Suite
from funprm.executors.inside.link import PATIENCE, Link, ZygoteError
from funprm.executors.inside.usage import Processes
from funprm.executors.inside.watch import Child

_QUIET = 0.005
"""Seconds in which only a program's end is waited for: most end within, and nothing else wakes."""
_FLUSH = 0.02
"""Seconds for which reports may wait for company."""
_ALIVE = 1.0
"""Seconds after which the host is told that there is nothing to tell."""
_HIGH, _LOW = 32 << 20, 8 << 20
"""Bytes not taken by the host yet, at which programs are not listened to, and again are."""
_RECURSION = 5000


class HostGoneError(Exception):
    """The host has closed its end."""


class Watcher:
    """The loop of a worker's first process."""

    def __init__(self, host: socket.socket, link: socket.socket, processes: Processes) -> None:
        """Set up; `run` does the work.

        Args:
            host: the connection to the host.
            link: the connection to the zygote.
            processes: the sandbox's.
        """
        self._host = protocol.Connection(host, protocol.TO_WORKER)
        self._link = Link(link)
        self._processes = processes
        self._folders: Folders | None = None
        self._suites: dict[int, Suite] = {}
        self._queue: deque[Job] = deque()
        self._child: Child | None = None
        self._outbox: list[protocol.Frame] = []
        self._flushed = self._told = time.monotonic()
        self._killed = 0.0
        self._paused = 0.0

    def run(self, layers: Isolation) -> None:
        """Work until the host goes away.

        Args:
            layers: what isolates the zygote.

        Raises:
            HostGoneError: it has.
            ZygoteError: the zygote is gone.
            ProtocolError: what came is no message.
        """
        sys.set_int_max_str_digits(0)  # what the host could read can be read here
        sys.setrecursionlimit(_RECURSION)
        order = self._link.answer(protocol.READY)
        hello = json.loads(order[1:])
        clock.warm_up()
        layers.settle(hello["off"], hello["uid"])
        self._folders = layers.folders
        hello["group"] = self._processes.group is not None
        self._outbox.append(protocol.Frame("hello", hello))
        while True:
            if self._queue and self._host.waiting < _HIGH:
                self._work(self._queue.popleft())
            else:
                self._flush()
                self._wait_for_host()

    # --- the host ---

    def _wait_for_host(self) -> None:
        poll = select.poll()
        poll.register(self._host, select.POLLIN | (self._host.waiting and select.POLLOUT))
        poll.register(self._link, 0)
        for fd, _ in poll.poll():
            if fd == self._link.fileno():
                raise ZygoteError("the zygote has ended")
            self._talk()

    def _talk(self) -> None:
        """Send what can be sent, take what has come."""
        frames = self._host.receive()
        if frames is None or not self._host.flush():
            raise HostGoneError
        for frame in frames:
            self._handle(frame)

    def _handle(self, frame: protocol.Frame) -> None:
        number = frame.fields[0]
        if frame.kind == "suite":
            self._suites[number] = Suite(frame.fields[1], frame.body)
        elif frame.kind == "forget":
            self._suites.pop(number, None)
        elif frame.kind == "job":
            suite = self._suites.get(frame.fields[1])
            if suite is None:
                raise protocol.ProtocolError(f"a job of an unknown suite {frame.fields[1]}")
            self._queue.append(Job(frame, suite))
        elif self._child is not None and self._child.job.id == number:
            self._obey(self._child, frame.kind)
        elif frame.kind == "stop":
            for job in self._queue:
                job.stopped = job.stopped or job.id == number

    def _obey(self, child: Child, kind: str) -> None:
        if kind == "stop":
            child.job.stopped = True
            self._kill("stop")
        elif child.gate and child.gate.held:
            child.gate.open()

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if self._outbox:
            if not self._host.send(self._outbox):
                raise HostGoneError
            self._outbox, self._told = [], self._flushed

    def _report(self, job: Job) -> None:
        if job.reports:
            self._outbox.append(job.frame())

    def _keep_host_informed(self, job: Job) -> None:
        now = time.monotonic()
        if now - self._flushed > _FLUSH or job.size > _LOW:
            self._report(job)
            self._flush()
            self._talk()
        if now - self._told > _ALIVE:
            self._outbox.append(protocol.Frame("alive"))
            self._flush()

    # --- one job ---

    def _work(self, job: Job) -> None:
        """Have a job's cases run, in as many processes as it takes; each has at least one."""
        assert self._folders is not None
        suite = job.suite
        if suite.prelude is None:
            suite.prelude = self._link.prelude_of(suite)
        while not job.done:
            child = self._child = Child(job, self._processes, self._folders.fresh())
            try:
                self._link.order(protocol.fork_order(suite.prelude), child.given)
                child.started()
                self._watch(child)
            finally:
                self._child = None
                child.close()
            self._keep_host_informed(job)
            while self._host.waiting > _HIGH:
                self._wait_for_host()
        self._report(job)
        self._outbox.append(protocol.Frame("end", job.id))
        self._keep_host_informed(job)

    def _kill(self, reason: str) -> None:
        """End the program, for a reason that becomes its outcome."""
        assert self._child is not None
        self._child.reason = self._child.reason or reason
        if not self._killed:
            self._killed = time.monotonic()
            self._link.order(protocol.KILL)

    # --- watching ---

    def _watch(self, child: Child) -> None:
        """Wait for a program's end, or bring it about; then note what it did."""
        self._killed = self._paused = 0.0
        if not self._ends_soon(child):
            while not self._look(child):
                self._keep_host_informed(child.job)
        order = self._link.answer(protocol.ENDED)
        status, _, memory, cpu = protocol.usage_of(order)
        child.read_all()
        child.job.memory = max(child.job.memory, memory / 1024)
        child.conclude(status, cpu)

    def _ends_soon(self, child: Child) -> bool:
        """Wait for a moment in which nothing matters but a program's end, and its gate."""
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        if child.gate:
            poll.register(child.gate, select.POLLIN)
        until = time.monotonic() + _QUIET
        while ready := poll.poll(1000 * max(0.0, until - time.monotonic())):
            if any(fd == self._link.fileno() for fd, _ in ready):
                return True
            self._answer_at_gate(child)
            if child.reason or not child.gate or child.gate.held:
                return False
        return False

    def _answer_at_gate(self, child: Child) -> None:
        """A process asks whether to go on, or has waited for the host long enough."""
        assert child.gate is not None
        if not child.gate.asked():
            child.close_gate()
            return
        child.read_channel()
        if child.gate.held or child.job.looks_right():
            child.gate.open()
        else:
            child.gate.hold()
            self._outbox.append(child.job.frame(waits=True))
            self._flush()

    def _look(self, child: Child) -> bool:
        """Wait for something to happen; True at the program's end."""
        wait = self._next_look(child)
        if self._outbox or child.job.reports:
            wait = min(wait, _FLUSH)
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.register(self._host, select.POLLIN | (self._host.waiting and select.POLLOUT))
        for fd in () if self._is_paused(child) else child.said_at():
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(1000 * wait + 1)}
        child.read(ready)
        if child.gate and (child.gate.fileno() in ready or child.gate.is_over()):
            self._answer_at_gate(child)
        if child.reason:
            self._kill(child.reason)
        if self._host.fileno() in ready:
            self._talk()
        return self._link.fileno() in ready

    def _next_look(self, child: Child) -> float:
        """Seconds until the next look; ends the program when its time is over."""
        if self._killed:
            if time.monotonic() - self._killed > PATIENCE:
                raise ZygoteError("a program does not end")
            return _ALIVE
        if self._paused:
            return _ALIVE
        reason = child.late()
        if reason:
            self._kill(reason)
            return _ALIVE
        return child.next_look()

    def _is_paused(self, child: Child) -> bool:
        """Whether the host must take reports before the program is listened to again."""
        now = time.monotonic()
        if self._paused:
            child.clocks.pause(now - self._paused)
        waiting = self._host.waiting
        paused = waiting > (_LOW if self._paused else _HIGH) and not self._killed
        self._paused = now if paused else 0.0
        return paused


def watch(
    host: socket.socket, link: socket.socket, processes: Processes, layers: Isolation
) -> None:
    """Be the watcher until the host goes away; then end the zygote with all that it runs.

    Args:
        host: the connection to the host.
        link: the connection to the zygote.
        processes: the sandbox's.
        layers: what isolates it.
    """
    try:
        Watcher(host, link, processes).run(layers)
    except HostGoneError:
        pass
    finally:
        link.close()  # the zygote ends what it runs, and itself
        _reap(processes.zygote)
        if processes.group:
            processes.group.close()
        layers.folders.close()


def _reap(zygote: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if os.waitpid(zygote, os.WNOHANG)[0]:
            return
        time.sleep(0.002)
    os.kill(zygote, 9)
    os.waitpid(zygote, 0)
