"""All that a server works with, shared by its requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from funprm.serve.errors import busy
from funprm.serve.judging import JudgePool
from funprm.serve.metrics import Metrics
from funprm.serve.scoring import BatchedScorer
from funprm.serve.settings import ServeSettings
from funprm.serve.upstream import Upstream


@dataclass(kw_only=True)
class Services:
    """Judge, upstream and reward model, and who may use them.

    Attributes:
        upstream: writes programs; None: this server has none.
        scorer: a reward model; None: this server has none.
    """

    settings: ServeSettings
    metrics: Metrics
    judge: JudgePool
    upstream: Upstream | None = None
    scorer: BatchedScorer | None = None
    _running: asyncio.Semaphore = field(init=False)
    _waiting: int = field(default=0, init=False)
    _busy: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._running = asyncio.Semaphore(self.settings.concurrency)

    @property
    def busy(self) -> int:
        """Best-of-N requests that are worked on."""
        return self._busy

    def require_room(self) -> None:
        """Refuse a further best-of-N request where enough are waiting.

        Raises:
            HttpError: status 429.
        """
        if self._running.locked() and self._waiting >= self.settings.queue:
            raise busy("requests")

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Wait for one's turn, and keep it.

        Raises:
            HttpError: too many wait.
        """
        self.require_room()
        self._wait(1)
        try:
            await self._running.acquire()
        finally:
            self._wait(-1)
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._running.release()

    def _wait(self, change: int) -> None:
        self._waiting += change
        self.metrics.waiting.set(self._waiting)

    async def close(self) -> None:
        """End connections, threads and workers."""
        if self.upstream is not None:
            await self.upstream.close()
        if self.scorer is not None:
            self.scorer.close()
        await asyncio.to_thread(self.judge.close)
