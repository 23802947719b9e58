"""A synchronous iterator over what an asynchronous task produces in a thread of its own."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

Emit = Callable[[T], "asyncio.Future[None]"]
"""Hands an item to the consumer; the future is done once the consumer asks for the next one."""


class Stream(Generic[T]):
    """Runs `produce(emit)` on an event loop in a thread and iterates over what it emits.

    A consumer that stores each item before it asks for the next one has stored an item once the
    future that `emit` returned is done: a producer that waits for it bounds what a kill can lose.

    The task's exception is raised after everything that it emitted. When the iterator is closed
    or interrupted, the task is cancelled and the thread has ended before control returns. On
    Ctrl-C while waiting, what was emitted is still yielded before KeyboardInterrupt goes on.
    """

    def __init__(self, produce: Callable[[Emit[T]], Awaitable[None]]) -> None:
        self._produce = produce
        self._inbox: queue.SimpleQueue[tuple[T, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._thread = threading.Thread(target=self._work, name="funprm-api", daemon=True)

    def __iter__(self) -> Iterator[T]:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        try:
            yield from self._arrivals(self._loop)
        except KeyboardInterrupt:
            self._cancel()
            yield from self.leftovers()
            raise
        finally:
            self._cancel()
        if self._error is not None:
            raise self._error

    def leftovers(self) -> Iterator[T]:
        """What was emitted and not yet yielded, without waiting."""
        while not self._inbox.empty():
            if (item := self._inbox.get_nowait()) is not None:
                yield item[0]

    def _arrivals(self, loop: asyncio.AbstractEventLoop) -> Iterator[T]:
        while (entry := self._inbox.get()) is not None:
            item, taken = entry
            yield item
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for it
                loop.call_soon_threadsafe(_settle, taken)

    def _emit(self, item: T) -> "asyncio.Future[None]":
        taken = self._own_loop().create_future()
        self._inbox.put((item, taken))
        return taken

    def _cancel(self) -> None:
        self._cancelled = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the task has ended
                self._loop.call_soon_threadsafe(self._cancel_task)
        self._thread.join()

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _work(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._own_loop) as runner:
                runner.run(self._main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001  it is raised in the consumer's thread
            self._error = error
        finally:
            self._inbox.put(None)

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None
        return self._loop

    async def _main(self) -> None:
        self._task = asyncio.current_task()
        if not self._cancelled:
            await self._produce(self._emit)


def _settle(taken: "asyncio.Future[None]") -> None:
    if not taken.done():
        taken.set_result(None)
