"""Which job goes to which worker, and what becomes of it.

Jobs are read only as fast as workers end them. Three kinds go before new ones: jobs whose
worker died (once more, alone on a worker, so that a second death has one suspect), cases that
must be repeated in a process of their own, and programs that ran out of wall time without having
had the processor (once more, with all other workers idle).
"""

import itertools
import select
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.local.worker import Worker
from funprm.interfaces import Job
from funprm.records import CaseResult, Status, Verdict

_AHEAD = 0.06
"""Seconds of work that a worker has in hand, so that it need not wait for us."""
_MOST_AHEAD = 128
_LITTLE = 0.8
"""Share of the CPU limit below which running out of wall time is blamed on the machine."""


MOST_TIME_LIMITS = 3
"""Cases over the time limit after which the others are left out, whatever was asked for; one is
enough where nothing is compared."""


class _Pending:
    """A job on its way to a verdict."""

    def __init__(self, number: int, job: Job, suite: PreparedSuite, suite_number: int) -> None:
        self.number = number
        self.job = job
        self.suite = suite
        self.suite_number = suite_number
        self.results: list[CaseResult] = []
        self.first = 0
        self.shared = suite.by_cases
        self.alone = False
        self.deaths = 0
        self.failed = -1
        self.settled = False
        self.suspect = False

    def again(self, first: int, *, shared: bool, alone: bool = False) -> None:
        """Prepare to run cases from `first` on once more."""
        del self.results[first:]
        self.first, self.shared, self.alone = first, shared, alone
        self.settled = self.suspect = False
        failures = (r.index for r in self.results if r.status is not Status.PASSED)
        self.failed = next(failures, -1)

    def take(self, first: int, memory: float, reports: list[list[Any]]) -> bool:
        """Note reports about cases from `first` on; True if the worker may stop."""
        for index, (outcome, text, cpu, wall) in enumerate(reports, first):
            if self.settled or index != len(self.results):
                break
            usage = (cpu / 1e6, wall / 1e6, memory)
            self._judge(index, outcome, self.suite.result(index, outcome, text, usage))
        return self.settled

    def _judge(self, index: int, outcome: str, result: CaseResult) -> None:
        self.results.append(result)
        if result.status is Status.PASSED:
            return
        if outcome == "wall" and not self.alone:
            self.suspect = result.cpu < _LITTLE * self.suite.seconds
        if self.failed < 0:
            self.failed = index
        slow = sum(r.status is Status.TIME_LIMIT for r in self.results)
        cases = self.suite.suite.cases
        most = 1 if cases and cases[index].output is None else MOST_TIME_LIMITS
        self.settled = self.suspect or self.job.stop_at_first_failure or slow >= most

    def verdict(self) -> Verdict:
        """The verdict, all cases being known."""
        failure = self.results[self.failed] if self.failed >= 0 else None
        return Verdict(
            key=self.job.key,
            status=failure.status if failure else Status.PASSED,
            results=tuple(self.results),
            total=self.suite.total,
            detail=f"case {failure.index}: {failure.detail}".rstrip(": ") if failure else "",
        )


def not_judged(job: Job, total: int, why: str) -> Verdict:
    """The verdict on a job that the judge could not do."""
    return Verdict(key=job.key, status=Status.NOT_JUDGED, total=total, detail=why)


class Dispatch:
    """One run over a stream of jobs."""

    def __init__(
        self,
        jobs: Iterable[Job],
        prepare: Callable[[Job], tuple[int, PreparedSuite]],
        workers: list[Worker],
        replace: Callable[[Worker], Worker],
        numbers: Iterator[int] | None = None,
    ) -> None:
        """Set up; `verdicts` does the work.

        Args:
            jobs: what is to be judged; read lazily.
            prepare: gives a job's suite and its number.
            workers: idle workers.
            replace: gives a new worker for a dead one.
            numbers: unused job numbers.
        """
        self._jobs = iter(jobs)
        self._prepare = prepare
        self._workers = workers
        self._replace = replace
        self._numbers = numbers or itertools.count()
        self._pending: dict[int, _Pending] = {}
        self._urgent: deque[_Pending] = deque()
        self._alone: deque[_Pending] = deque()
        self._suspects: deque[_Pending] = deque()
        self._ready: deque[Verdict] = deque()
        self._exhausted = False

    def verdicts(self) -> Iterator[Verdict]:
        """Verdicts as they come."""
        while True:
            self._fill()
            while self._ready:
                yield self._ready.popleft()
            if not self._busy():
                if self._exhausted and not (self._urgent or self._alone or self._suspects):
                    return
                continue
            for worker in self._wait():
                self._receive(worker)

    def _busy(self) -> list[Worker]:
        return [w for w in self._workers if w.jobs]

    # --- sending ---

    def _fill(self) -> None:
        if self._alone:
            if not self._busy():
                self._send(0, [self._alone.popleft()])
            return
        for position, worker in enumerate(self._workers):
            if not self._may_take(worker):
                continue
            if self._suspects:
                if not worker.jobs:
                    self._send(position, [self._suspects.popleft()])
                continue
            room = _room(worker) - len(worker.jobs)
            batch = list(itertools.islice(self._next(), max(room, 0)))
            if batch:
                self._send(position, batch)

    def _may_take(self, worker: Worker) -> bool:
        """A worker with a suspect job gets no other, nor one that still has enough."""
        suspect = any(self._pending[n].deaths for n in worker.jobs)
        return not suspect and len(worker.jobs) <= _room(worker) // 2

    def _next(self) -> Iterator[_Pending]:
        while True:
            if self._urgent:
                yield self._urgent.popleft()
                continue
            job = None if self._exhausted else next(self._jobs, None)
            if job is None:
                self._exhausted = True
                return
            number, suite = self._prepare(job)
            if suite.fault:
                self._ready.append(not_judged(job, suite.total, suite.fault))
                continue
            yield _Pending(next(self._numbers), job, suite, number)

    def _send(self, position: int, batch: list[_Pending]) -> None:
        worker = self._workers[position]
        worker.note_start()
        messages: list[Any] = []
        for pending in batch:
            messages += worker.suite_messages(pending.suite_number, pending.suite)
            messages.append(_message(pending))
            self._pending[pending.number] = pending
            worker.jobs.add(pending.number)
        if not worker.send(messages):
            self._bury(worker)

    # --- receiving ---

    def _wait(self) -> list[Worker]:
        poll = select.poll()
        by_fd = {w.fd: w for w in self._busy()}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        return [by_fd[fd] for fd, _ in poll.poll()]

    def _receive(self, worker: Worker) -> None:
        messages = worker.receive()
        if messages is None:
            self._bury(worker)
            return
        stops = []
        ended = 0
        for message in messages:
            pending = self._pending.get(message[1])
            if pending is None:
                continue
            if message[0] == "end":
                ended += 1
                self._end(worker, pending, changed=message[2])
            elif pending.take(*message[2:]):
                stops.append(["stop", pending.number])
        worker.note_pace(ended)
        stops = [s for s in stops if s[1] in self._pending]
        if stops:
            worker.send(stops)

    def _end(self, worker: Worker, pending: _Pending, *, changed: bool) -> None:
        """A worker has done with a job; is that its verdict?"""
        del self._pending[pending.number]
        worker.jobs.discard(pending.number)
        if pending.suspect:
            pending.again(len(pending.results) - 1, shared=False, alone=True)
            self._alone.append(pending)
        elif pending.shared and changed and self._state_matters(pending):
            self._urgent.append(pending)
        else:
            self._ready.append(pending.verdict())

    def _state_matters(self, pending: _Pending) -> bool:
        """Whether cases after the first must be run again, in a process each."""
        if pending.suite.compat or len(pending.results) - pending.first <= 1:
            return False
        pending.again(pending.first + 1, shared=False)
        return True

    # --- deaths ---

    def _bury(self, worker: Worker) -> None:
        """Replace a dead worker; its jobs get one more chance each."""
        lost = [self._pending.pop(n) for n in sorted(worker.jobs)]
        worker.jobs.clear()
        self._workers[self._workers.index(worker)] = self._replace(worker)
        for pending in lost:
            pending.deaths += 1
            if pending.deaths > 1:
                why = "the worker that ran it died twice; the judge, or the machine, failed"
                self._ready.append(not_judged(pending.job, pending.suite.total, why))
            else:
                pending.again(pending.first, shared=pending.shared, alone=pending.alone)
                self._suspects.append(pending)


def _room(worker: Worker) -> int:
    """How many jobs a worker should have in hand."""
    if not worker.pace:
        return 2
    return max(1, min(_MOST_AHEAD, int(_AHEAD / worker.pace)))


def _message(pending: _Pending) -> list[Any]:
    job = pending.job
    return [
        "job",
        pending.number,
        pending.suite_number,
        job.code,
        pending.first,
        not pending.shared,
        job.stop_at_first_failure,
    ]
