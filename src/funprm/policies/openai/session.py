"""One `sample` of the API policy: many calls in flight, answers as they arrive."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence

from funprm.errors import PolicyError
from funprm.interfaces import Request, Sample
from funprm.policies.openai.budget import Budget, Statistics
from funprm.policies.openai.errors import concerns_content, explain, refuses_prefill
from funprm.policies.openai.placement import Placement
from funprm.policies.openai.prefixes import Way
from funprm.policies.openai.requests import lacks_room
from funprm.policies.openai.responses import has_usage, read_replies, read_sample
from funprm.policies.openai.servers import Server
from funprm.policies.openai.stream import Emit
from funprm.policies.openai.transport import (
    Answer,
    LostServerError,
    RejectedError,
    UnansweredError,
)

_FAILURES_TO_STOP = 8
"""So many failures, if they outnumber the answers, show that the rest would fail, too."""
_RECENT = 64
"""Calls that are looked at for that: a server may fail after thousands of answers."""
_MOST_MOVES = 8
"""So often a request goes to another server; one that loses each server is its own fault."""
_NO_PREFILL = (
    "does not continue a final message: set continuation to 'completions', 'instruction' or 'auto'"
)


class Session:
    """Answers requests by one or several servers."""

    def __init__(
        self,
        servers: Sequence[Server],
        statistics: Statistics,
        budget: Budget,
        emit: Emit[Sample],
    ) -> None:
        """`emit` receives each answer at once; the next call waits until it was taken."""
        self._servers = servers
        self._statistics = statistics
        self._budget = budget
        self._emit = emit
        self._placement = Placement(())
        self._moves: Counter[str] = Counter()
        self._error: PolicyError | None = None
        self._recent: deque[bool] = deque(maxlen=_RECENT)
        """Of the last calls, whether they were answered."""
        self._reason = ""

    async def run(self, requests: Sequence[Request], concurrency: int, together: int) -> None:
        """Answer all requests, `concurrency` calls at each server at a time.

        Args:
            requests: those of a problem go to one server.
            concurrency: calls in flight at each server.
            together: answers that one call asks for, at most.

        Raises:
            PolicyError: the policy cannot answer, most requests failed, or the budget is used
                up. All answers that were on their way have been emitted before.
        """
        self._placement = Placement(requests)
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(self._work(server, together))
                for _ in range(concurrency)
                for server in self._servers
            ]
            watches = [tasks.create_task(self._watch(server)) for server in self._servers]
            await asyncio.gather(*workers)
            for watch in watches:
                watch.cancel()
        if self._error is None and self._mostly_failed():
            self._error = self._too_many_failures(self._servers[0])
        if self._error is not None:
            raise self._error

    async def _work(self, server: Server, together: int) -> None:
        """Answer what the server gets, call by call, until nothing is left to do."""
        while not self._placement.ended:
            several = server.service.dialect.several
            size = together if several else 1
            group = [] if server.health.lost else self._placement.take(server.url, size)
            if not group:
                await self._placement.change()
                continue
            try:
                await self._answer(group, server)
            except PolicyError as error:
                self._stop(error)

    async def _watch(self, server: Server) -> None:
        """Use a lost server again as soon as it is back."""
        while True:
            if server.health.lost:
                await server.recover()
                self._placement.wake()
            await self._placement.change()

    def _stop(self, error: PolicyError) -> None:
        """Send nothing more; what is on its way still arrives."""
        self._error = self._error or error
        self._placement.close()
        for server in self._servers:
            server.transport.stop()

    async def _answer(self, group: Sequence[Request], server: Server) -> None:
        """One call for a group, until its answers were taken.

        So at most `concurrency` calls of a server are unanswered or their answers not stored yet.
        """
        taken: list[asyncio.Future[None]] = []
        try:
            taken = await self._ask(group, server)
        except RejectedError as error:
            taken = await self._reject(group, server, error)
        except UnansweredError as error:
            self._fail(group, server, str(error))
        except LostServerError as error:
            self._move(group, server, str(error))
        await asyncio.gather(*taken)
        self._placement.done(len(group))

    async def _ask(self, group: Sequence[Request], server: Server) -> "list[asyncio.Future[None]]":
        service = server.service
        way: Way = await server.way() if group[0].prefix else "instruction"
        call = service.form.call(group, way)
        tokens = service.form.most_tokens(call)
        await self._budget.admit(len(group), sum(tokens), service.prices.cost(*tokens))
        try:
            if self._error is not None:
                return []
            answer = await service.ask(server.transport, call)
            return self._receive(group, server, way, answer)
        finally:
            await self._budget.release(len(group))

    def _receive(
        self, group: Sequence[Request], server: Server, way: Way, answer: Answer
    ) -> "list[asyncio.Future[None]]":
        self._recent.append(True)
        replies = read_replies(answer.body, len(group))
        prices = server.service.prices
        taken = [
            self._deliver(read_sample(request, reply, way, answer.seconds, prices))
            for request, reply in zip(group, replies, strict=False)
        ]
        if left := group[len(replies) :]:
            server.service.dialect.several = False
            self._placement.give_back(left)
        if self._budget.limited and not has_usage(answer.body):
            self._stop(PolicyError(f"{server.url} reports no usage, so that no budget can be kept"))
        return taken

    def _deliver(self, sample: Sample) -> "asyncio.Future[None]":
        self._statistics.count(sample)
        return self._emit(sample)

    async def _reject(
        self, group: Sequence[Request], server: Server, error: RejectedError
    ) -> "list[asyncio.Future[None]]":
        if concerns_content(error):
            self._recent.append(True)
            refused = (
                Sample(key=r.key, code="", finish="refused", kept=not r.prefix) for r in group
            )
            return [self._deliver(sample) for sample in refused]
        if lacks_room(error):  # the prompt alone fills the context: final, as a cut-off answer is
            self._recent.append(True)
            return [self._deliver(Sample(key=r.key, code=r.prefix, finish="length")) for r in group]
        if refuses_prefill(error):
            self._stop(PolicyError(f"{server.url} {_NO_PREFILL} ({error})"))
        elif policy_error := await explain(error, server.transport, server.service.form.model):
            self._stop(policy_error)
        else:
            self._fail(group, server, str(error))
        return []

    def _move(self, group: Sequence[Request], server: Server, reason: str) -> None:
        """These requests are for another server, with all others of the lost one."""
        if not server.health.lost:
            server.lose(reason)
            self._placement.release(server.url)
        self._moves.update(request.key for request in group)
        if self._moves[group[0].key] > _MOST_MOVES:
            self._fail(group, server, reason)
        else:
            self._statistics.moved += len(group)
            self._placement.give_back(group)

    def _fail(self, group: Sequence[Request], server: Server, reason: str) -> None:
        """These requests stay unanswered; stop where most do."""
        if self._error is not None:
            return  # it was not sent, or not repeated, because all stops
        self._statistics.failed += len(group)
        self._recent.append(False)
        self._reason = reason
        if self._recent.count(False) >= _FAILURES_TO_STOP and self._mostly_failed():
            self._stop(self._too_many_failures(server))

    def _mostly_failed(self) -> bool:
        return self._recent.count(False) > self._recent.count(True)

    def _too_many_failures(self, server: Server) -> PolicyError:
        return PolicyError(
            f"{server.url} left {self._recent.count(False)} of the last {len(self._recent)} calls "
            "unanswered, "
            f"the last one with: {self._reason}; check the policy's settings, or run again later"
        )
