"""Which job goes to which worker, and what becomes of it.

Jobs are read only as fast as workers end them. Three kinds go before new ones: jobs whose
worker died (from the second time on alone on a worker, so that a further death has one suspect),
programs that somebody has killed, and programs that ran out of wall time without having had the
processor (once more, with all other workers idle).
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from funprm.executors import protocol
from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.local.pool import Pool
from funprm.executors.local.worker import Worker
from funprm.interfaces import Job
from funprm.records import CaseResult, Status, Verdict

_AHEAD = 0.1
"""Seconds of work that a worker has in hand, so that it need not wait for us."""
_MOST_AHEAD = 128
_MOST_BYTES_AHEAD = 32 << 20
_LITTLE = 0.8
"""Share of the CPU limit below which running out of wall time is blamed on the machine."""
_MOST_DEATHS = 4
"""Deaths of workers that a job survives: without one's own fault, several in a row are rare."""
_MOST_KILLS = 2
"""Times that a program is run again because it was killed, perhaps by somebody else."""
_INCOMPARABLE = (MemoryError, RecursionError, ArithmeticError, ValueError)


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
        self.kills = 0
        self.failed = -1
        self.settled = False
        self.doubt = ""

    def again(self, first: int, *, shared: bool, alone: bool = False) -> None:
        """Prepare to run cases from `first` on once more."""
        if self.suite.compat and self.suite.by_cases:
            first, shared = 0, True  # one object for all cases
        del self.results[first:]
        self.first, self.shared, self.alone = first, shared, alone
        self.settled, self.doubt = False, ""
        failures = (r.index for r in self.results if r.status is not Status.PASSED)
        self.failed = next(failures, -1)

    def take(self, first: int, memory: float, reports: Iterable[tuple[Any, ...]]) -> bool:
        """Note reports about cases from `first` on; True if the worker may stop."""
        for index, (outcome, text, cpu, wall) in enumerate(reports, first):
            if self.settled or index != len(self.results) or index >= self.suite.total:
                break
            self._judge(index, outcome, text, (cpu / 1e6, wall / 1e6, memory))
        return self.settled

    def _judge(
        self, index: int, outcome: str, text: str, usage: tuple[float, float, float]
    ) -> None:
        if outcome == "killed":
            self.kills += 1
            self.doubt = "killed" if self.kills <= _MOST_KILLS else ""
            outcome, text = "error", f"killed by SIGKILL ({text})"
        if outcome == "output" and self.job.show is not None:
            self.job.show(index, text)
        try:
            result = self.suite.result(index, outcome, text, usage)
        except _INCOMPARABLE as error:
            what = f"its answer cannot be compared: {type(error).__name__}"
            result = self.suite.result(index, "error", what, usage)
        self.results.append(result)
        if result.status is not Status.PASSED:
            self._note_failure(index, outcome, result)

    def _note_failure(self, index: int, outcome: str, result: CaseResult) -> None:
        if outcome == "wall" and not self.alone and result.cpu < _LITTLE * self.suite.seconds:
            self.doubt = "wall"
        if self.failed < 0:
            self.failed = index
        slow = sum(r.status is Status.TIME_LIMIT for r in self.results)
        cases = self.suite.suite.cases
        most = 1 if cases and cases[index].output is None else MOST_TIME_LIMITS
        self.settled = bool(self.doubt) or self.job.stop_at_first_failure or slow >= most

    def verdict(self) -> Verdict:
        """The verdict, all cases being known."""
        failure = self.results[self.failed] if self.failed >= 0 else None
        notes = "; ".join(result.detail for result in self.results if result.detail)
        return Verdict(
            key=self.job.key,
            status=failure.status if failure else Status.PASSED,
            results=tuple(self.results),
            total=self.suite.total,
            detail=f"case {failure.index}: {failure.detail}".rstrip(": ") if failure else notes,
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
        pool: Pool,
        numbers: Iterator[int] | None = None,
    ) -> None:
        """Set up; `verdicts` does the work.

        Args:
            jobs: what is to be judged; read lazily.
            prepare: gives a job's suite and its number.
            pool: idle workers.
            numbers: unused job numbers.
        """
        self._jobs = iter(jobs)
        self._prepare = prepare
        self._pool = pool
        self._numbers = numbers or itertools.count()
        self._pending: dict[int, _Pending] = {}
        self._urgent: deque[_Pending] = deque()
        self._alone: deque[_Pending] = deque()
        self._suspects: deque[_Pending] = deque()
        self._ready: deque[Verdict] = deque()
        self._exhausted = False

    def verdicts(self) -> Iterator[Verdict]:
        """Verdicts as they come.

        Raises:
            ExecutorError: no worker can be started any more.
        """
        while True:
            self._fill()
            while self._ready:
                yield self._ready.popleft()
            if self._is_over():
                return
            for worker, frames in self._pool.listen():
                if frames is None or not self._receive(worker, frames):
                    self._bury(worker)

    def _is_over(self) -> bool:
        left = self._pending or self._urgent or self._alone or self._suspects
        return self._exhausted and not left

    def _busy(self) -> list[Worker]:
        return [w for w in self._pool.workers if w.jobs]

    # --- sending ---

    def _fill(self) -> None:
        if self._alone:
            idle = next((w for w in self._pool.workers if w.ready), None)
            if idle and not self._busy():
                self._send(idle, [self._alone.popleft()])
            return
        for worker in list(self._pool.workers):
            if not self._may_take(worker):
                continue
            if self._suspects:
                if not worker.jobs:
                    self._send(worker, [self._suspects.popleft()])
                continue
            room = _room(worker) - len(worker.jobs)
            batch = list(itertools.islice(self._next(), max(room, 0)))
            if batch:
                self._send(worker, batch)

    def _may_take(self, worker: Worker) -> bool:
        """A worker with a suspect job gets no other, nor one that still has enough."""
        if not worker.ready or worker.bytes_ahead > _MOST_BYTES_AHEAD:
            return False
        suspect = any(self._pending[n].deaths > 1 for n in worker.jobs)
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

    def _send(self, worker: Worker, batch: list[_Pending]) -> None:
        worker.note_start()
        frames = [frame for pending in batch for frame in self._frames(worker, pending)]
        if not worker.send(frames):
            self._bury(worker)

    def _frames(self, worker: Worker, pending: _Pending) -> list[protocol.Frame]:
        """What a worker must be told of a job; nothing if it is too large to be told."""
        job = _frame(pending)
        frames = [*worker.suite_frames(pending.suite_number, pending.suite), job]
        try:
            for frame in frames:
                frame.packed()
        except protocol.ProtocolError as error:
            worker.forget(pending.suite_number)
            why = f"program or suite are too large: {error}"
            self._ready.append(not_judged(pending.job, pending.suite.total, why))
            return []
        self._pending[pending.number] = pending
        worker.jobs[pending.number] = len(job.body)
        return frames

    # --- receiving ---

    def _receive(self, worker: Worker, frames: list[protocol.Frame]) -> bool:
        """Take what a worker says; False if it is nonsense."""
        replies = []
        ended = 0
        for frame in frames:
            number = frame.fields[0] if frame.fields else -1
            if number not in worker.jobs:
                continue
            pending = self._pending[number]
            if frame.kind == "end":
                ended += 1
                del worker.jobs[number], self._pending[number]
                self._end(pending)
            elif frame.kind == "cases" and self._take(pending, frame):
                replies.append(protocol.Frame("stop", number))
            elif frame.kind == "cases" and frame.fields[-1]:
                replies.append(protocol.Frame("go", number))
        worker.note_pace(ended)
        replies = [reply for reply in replies if reply.fields[0] in self._pending]
        return not replies or worker.send(replies)

    def _take(self, pending: _Pending, frame: protocol.Frame) -> bool:
        _, first, memory, reports, _ = frame.fields
        texts = protocol.texts(reports, frame.body)
        both = zip(reports, texts, strict=True)
        return pending.take(first, memory, ((r[0], text, r[2], r[3]) for r, text in both))

    def _end(self, pending: _Pending) -> None:
        """A worker has done with a job; is that its verdict?"""
        last = len(pending.results) - 1
        if pending.doubt == "wall":
            pending.again(last, shared=False, alone=True)
            self._alone.append(pending)
        elif pending.doubt:
            pending.again(last, shared=False)
            self._urgent.append(pending)
        elif pending.settled or len(pending.results) == pending.suite.total:
            self._ready.append(pending.verdict())
        else:
            self._retry(pending)

    # --- deaths ---

    def _bury(self, worker: Worker) -> None:
        """Replace a dead worker; its jobs get another chance each."""
        lost = [self._pending.pop(n) for n in sorted(worker.jobs)]
        worker.jobs.clear()
        for pending in lost:
            self._retry(pending)
        self._pool.replace(worker)

    def _retry(self, pending: _Pending) -> None:
        pending.deaths += 1
        if pending.deaths > _MOST_DEATHS:
            why = f"its worker died {pending.deaths} times; the judge, or the machine, failed"
            self._ready.append(not_judged(pending.job, pending.suite.total, why))
        else:
            pending.again(pending.first, shared=pending.shared, alone=pending.alone)
            (self._suspects if pending.deaths > 1 else self._urgent).append(pending)


def _room(worker: Worker) -> int:
    """How many jobs a worker should have in hand."""
    if not worker.pace:
        return 2
    return max(1, min(_MOST_AHEAD, int(_AHEAD / worker.pace)))


def _frame(pending: _Pending) -> protocol.Frame:
    job = pending.job
    fields = (pending.number, pending.suite_number, pending.first)
    code = job.code.encode("utf-8", "surrogatepass")
    return protocol.Frame("job", *fields, not pending.shared, job.stop_at_first_failure, body=code)
