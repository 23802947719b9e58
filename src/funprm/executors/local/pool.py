"""The workers of a judge: started, replaced when they die or go silent, listened to together."""

import select
from collections.abc import Callable, Iterator

from funprm.errors import ExecutorError
from funprm.executors import protocol
from funprm.executors.local.canary import KilledError
from funprm.executors.local.worker import Worker

_LOOK = 1.0
"""Seconds between looks for silent workers."""
_MOST_FAILURES, _MOST_LATER = 8, 100
"""Workers that may end in a row before one of them was ready: at first, and once one has been,
which shows that they can start."""


class Pool:
    """A number of workers, some of them just being started.

    Attributes:
        workers: all of them.
    """

    def __init__(
        self, start: Callable[[], Worker], accept: Callable[[dict[str, str]], None]
    ) -> None:
        """Set up; nothing is started.

        Args:
            start: starts a worker.
            accept: raises an ExecutorError if the layers that are off must be on.
        """
        self.workers: list[Worker] = []
        self._start = start
        self._accept = accept
        self._failures = 0
        self._most_failures = _MOST_FAILURES

    def fill(self, count: int) -> None:
        """Start workers until there are so many, and wait until all are ready.

        Raises:
            ExecutorError: they do not start, or are not what was demanded.
        """
        while len(self.workers) < count:
            self.workers.append(self._start())
        while not all(worker.ready for worker in self.workers):
            for worker, frames in self.listen():
                if frames is None:
                    self.replace(worker)

    def listen(self) -> Iterator[tuple[Worker, list[protocol.Frame] | None]]:
        """Wait until something comes: frames of workers that are ready, None of dead ones.

        Raises:
            ExecutorError: a new worker fails its test programs, or lacks a layer.
        """
        poll = select.poll()
        by_fd = {worker.fileno(): worker for worker in self.workers}
        for fd, worker in by_fd.items():
            poll.register(fd, select.POLLIN | (worker.wants_to_send and select.POLLOUT))
        ready = [by_fd[fd] for fd, _ in poll.poll(1000 * _LOOK)]
        for worker in ready or list(self.workers):
            alive = worker.flush()
            frames = worker.receive() if worker in ready else []
            if frames is None or not alive or worker.is_silent():
                yield worker, None
            elif worker.ready:
                yield worker, frames
            elif not self._greet(worker, frames):
                yield worker, None

    def _greet(self, worker: Worker, frames: list[protocol.Frame]) -> bool:
        try:
            alive = all([worker.greet(frame) for frame in frames])
        except (KilledError, protocol.ProtocolError):
            return False
        if frames and worker.layers_off is not None:
            self._accept(worker.layers_off)
        if worker.ready:
            self._failures, self._most_failures = 0, _MOST_LATER
        return alive

    def replace(self, dead: Worker) -> None:
        """Start another worker in the place of one that is of no use any more.

        Raises:
            ExecutorError: too many in a row have ended before they were ready.
        """
        if not dead.ready:
            self._failures += 1
            if self._failures >= self._most_failures:
                raise ExecutorError(f"a worker of the judge did not start: {dead.error()}")
        place = self.workers.index(dead)
        dead.close(at_once=True)
        self.workers[place] = self._start()

    def close(self) -> None:
        """End all workers."""
        while self.workers:
            self.workers.pop().close()
