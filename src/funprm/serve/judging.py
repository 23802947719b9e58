"""Verdicts for many requests at once, always in isolation: a worker takes a program at a time."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from funprm.commands import one_problem
from funprm.commands.one_problem import Judgement
from funprm.interfaces import Executor, Job
from funprm.records import Json, Problem, Verdict
from funprm.serve.errors import busy
from funprm.serve.metrics import Metrics
from funprm.serve.settings import ServeSettings

T = TypeVar("T")


class Make(Protocol):
    """Makes executors."""

    def __call__(self, *, workers: int) -> Executor:
        """An executor with so many workers."""
        ...


class JudgePool:
    """Executors of one worker each, in a thread each: a slow program holds up one of them.

    Args:
        make: an executor; called once per worker, with the first program.
        settings: how many at once, and how many may wait.
        metrics: counts.
    """

    def __init__(self, make: Make, settings: ServeSettings, metrics: Metrics) -> None:
        count = settings.judge_workers or len(os.sched_getaffinity(0))
        self._make = make
        self._most = settings.judge_queue
        self._metrics = metrics
        self._waiting = 0
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="funprm-judge")
        self._local = threading.local()
        self._executors: list[Executor] = []
        self._lock = threading.Lock()

    async def judge(self, problem: Problem, code: str) -> Judgement:
        """What all suites of a problem say of a program.

        Raises:
            HttpError: too many programs are waiting.
            DataError: the problem has no tests.
            ExecutorError: the judge cannot work here.
        """
        judgement = await self._aside(lambda judge: one_problem.judge(problem, [code], judge)[0])
        self._metrics.judged.labels(judgement.status.value).inc()
        return judgement

    async def verdicts(self, jobs: Sequence[Job]) -> list[Verdict]:
        """What suites say of programs, in their order; errors as in `judge`."""
        found = await asyncio.gather(*map(self._verdict, jobs))
        for verdict in found:
            self._metrics.judged.labels(verdict.status.value).inc()
        return found

    async def _verdict(self, job: Job) -> Verdict:
        return await self._aside(lambda judge: list(judge.judge([job]))[0])

    async def check(self) -> str:
        """One line on the isolation that is in force here.

        Raises:
            ExecutorError: the judge cannot work here.
        """

        def describe(judge: Executor) -> str:
            list(judge.judge([]))
            found: Callable[[], str] | None = getattr(judge, "describe", None)
            return found() if found else "isolation: as its executor says"

        return await self._aside(describe)

    def require_room(self, programs: int) -> None:
        """Refuse so many programs where they would be too many.

        Raises:
            HttpError: too many programs are waiting.
        """
        if self._waiting and self._waiting + programs > self._most:
            raise busy("programs to be judged")

    def close(self) -> None:
        """End all workers; what waits is not judged."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for executor in self._executors:
            executor.close()

    async def _aside(self, work: Callable[[Executor], T]) -> T:
        self.require_room(1)
        self._count(1)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: work(self._own()))
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._waiting += change
        self._metrics.judge_queue.set(self._waiting)

    def _own(self) -> Executor:
        """The executor of this thread."""
        if not hasattr(self._local, "executor"):
            self._local.executor = self._make(workers=1)
            with self._lock:
                self._executors.append(self._local.executor)
        executor: Executor = self._local.executor
        return executor


class WaitingJudge:
    """The pool as an executor, for a thread that waits for verdicts; implements `Executor`.

    Args:
        pool: judges.
        loop: where the pool is at home.
    """

    def __init__(self, pool: JudgePool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool, self._loop = pool, loop

    def identity(self) -> Mapping[str, Json]:
        """Nothing: no verdict is kept."""
        return {}

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """Verdicts in the order of the jobs; errors as of `JudgePool.verdicts`."""
        found = asyncio.run_coroutine_threadsafe(self._pool.verdicts(list(jobs)), self._loop)
        yield from found.result()

    def close(self) -> None:
        """Nothing: the pool belongs to the server."""
