"""Scores for many requests at once: what waits together is scored in one pass."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from funprm.commands.one_problem import FunctionScores, ProcessRewardModel
from funprm.serve.errors import busy
from funprm.serve.metrics import Metrics
from funprm.serve.settings import ServeSettings

Pair = tuple[str, str]
"""A statement as the model reads it, and a program."""


@dataclass(eq=False)
class _Item:
    """Programs that are scored in the same pass."""

    pairs: Sequence[Pair]
    found: "asyncio.Future[list[FunctionScores]]"


class BatchedScorer:
    """A reward model that is asked by many requests.

    A request waits `batch_wait` seconds for others, and for the pass that is under way; whatever
    has come by then goes in one pass of at most `batch_programs` programs. A long request goes in
    parts, so that short ones need not wait for all of it.
    """

    def __init__(
        self, model: ProcessRewardModel, settings: ServeSettings, metrics: Metrics
    ) -> None:
        self.model = model
        self._settings = settings
        self._metrics = metrics
        self._items: deque[_Item] = deque()
        self._waiting = 0
        self._work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="funprm-score")

    async def score(self, pairs: Sequence[Pair]) -> list[FunctionScores]:
        """Scores of programs, in their order.

        Raises:
            HttpError: too many programs are waiting.
        """
        if self._waiting and self._waiting + len(pairs) > self._settings.score_queue:
            raise busy("programs to be scored")
        size = self._settings.batch_programs
        loop = asyncio.get_running_loop()
        parts = [
            _Item(pairs[start : start + size], loop.create_future())
            for start in range(0, len(pairs), size)
        ]
        self._items.extend(parts)
        self._count(len(pairs))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())
        found = await asyncio.gather(*(part.found for part in parts))
        return [scores for part in found for scores in part]

    async def texts(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Scores at the markers of rendered texts."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.model.score_texts, texts)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _count(self, change: int) -> None:
        self._waiting += change
        self._metrics.score_queue.set(self._waiting)

    async def _run(self) -> None:
        while self._items:
            await asyncio.sleep(self._settings.batch_wait)
            batch = self._take()
            await self._pass(batch)

    def _take(self) -> list[_Item]:
        """The next items, whose requests are still there, that fit in one pass."""
        batch: list[_Item] = []
        room = self._settings.batch_programs
        while self._items and len(self._items[0].pairs) <= room:
            item = self._items.popleft()
            self._count(-len(item.pairs))
            if not item.found.cancelled():
                batch.append(item)
                room -= len(item.pairs)
        return batch

    async def _pass(self, batch: Sequence[_Item]) -> None:
        """One pass; if it fails, one for each request, so that none suffers from another."""
        pairs = [pair for item in batch for pair in item.pairs]
        if not pairs:
            return
        loop = asyncio.get_running_loop()
        try:
            scores = await loop.run_in_executor(self._thread, self.model.score_pairs, pairs)
        except Exception as error:  # noqa: BLE001  it is the request's answer
            if len(batch) > 1:
                for item in batch:
                    await self._pass([item])
            elif not batch[0].found.done():
                batch[0].found.set_exception(error)
            return
        self._metrics.passes.inc()
        self._metrics.scored.inc(len(pairs))
        found = iter(scores)
        for item in batch:
            own = [next(found) for _ in item.pairs]
            if not item.found.done():
                item.found.set_result(own)
