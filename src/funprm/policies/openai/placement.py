"""Which server answers which requests: all of a problem's go to one, as long as it lives."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import groupby

from funprm.interfaces import Request

Alike = deque[Request]
"""Requests with the same question and prefix, which one call may ask for together."""


class Placement:
    """Hands out requests to servers, which are known by their addresses.

    A server that has room takes the next problem that nobody has, and keeps all of its requests:
    its cache of prompts then serves each but the first, and a slow server takes fewer problems.
    What a lost server had not been sent is anybody's again.
    """

    def __init__(self, requests: Iterable[Request]) -> None:
        self._waiting: dict[str, deque[Alike]] = defaultdict(deque)
        self._open = 0
        self._closed = False
        self._changed = asyncio.Event()
        for _, same in groupby(requests, key=lambda r: (r.problem.key, r.prefix, r.drafts)):
            alike = deque(same)
            self._waiting[alike[0].problem.key].append(alike)
            self._open += len(alike)
        self._free = deque(self._waiting)
        self._owners: dict[str, str] = {}
        self._owned: dict[str, deque[str]] = defaultdict(deque)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self._closed or not self._open

    def take(self, server: str, together: int) -> list[Request]:
        """The next requests for a server, up to `together` alike ones; empty: there are none."""
        owned = self._owned[server]
        if not owned and self._free:
            self._owners[self._free[0]] = server
            owned.append(self._free.popleft())
        if not owned:
            return []
        waiting = self._waiting[owned[0]]
        taken = [waiting[0].popleft() for _ in range(min(together, len(waiting[0])))]
        if not waiting[0]:
            waiting.popleft()
        if not waiting:
            owned.popleft()
        return taken

    def give_back(self, requests: Sequence[Request]) -> None:
        """These were taken, and are wanted still: from the problem's server, if it has one."""
        problem = requests[0].problem.key
        waiting = self._waiting[problem]
        self._open += len(requests)
        if not waiting:
            owner = self._owners.get(problem)
            (self._free if owner is None else self._owned[owner]).appendleft(problem)
        waiting.appendleft(deque(requests))
        self.wake()

    def release(self, server: str) -> None:
        """The server is lost: its problems are anybody's."""
        self._free.extendleft(reversed(self._owned.pop(server, deque())))
        self._owners = {key: owner for key, owner in self._owners.items() if owner != server}
        self.wake()

    def done(self, count: int) -> None:
        """So many requests that were taken are done with, if they were not given back."""
        self._open -= count
        if self.ended:
            self.wake()

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed = True
        self.wake()

    def wake(self) -> None:
        """Let all who wait look again."""
        self._changed.set()

    async def change(self) -> None:
        """Wait until something has changed."""
        self._changed.clear()
        await self._changed.wait()
