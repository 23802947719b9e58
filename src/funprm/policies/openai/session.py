"""One `sample` of the API policy: many calls in flight, answers as they arrive."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby

from funprm.errors import PolicyError
from funprm.interfaces import Request, Sample
from funprm.policies.openai.budget import Budget
from funprm.policies.openai.errors import concerns_content, explain, refuses_prefill
from funprm.policies.openai.prefixes import Way
from funprm.policies.openai.probe import find_way
from funprm.policies.openai.requests import Service, lacks_room
from funprm.policies.openai.responses import has_usage, read_replies, read_sample
from funprm.policies.openai.stream import Emit
from funprm.policies.openai.transport import Answer, RejectedError, Transport, UnansweredError

_FAILURES_TO_STOP = 8
"""So many failures, if they outnumber the answers, show that the rest would fail, too."""
_NO_PREFILL = (
    "does not continue a final message: set continuation to 'completions', 'instruction' or 'auto'"
)


class Session:
    """Answers requests over one transport."""

    def __init__(
        self,
        service: Service,
        transport: Transport,
        budget: Budget,
        emit: Emit[Sample],
    ) -> None:
        """`emit` receives each answer at once; the next call waits until it was taken."""
        self._service = service
        self._transport = transport
        self._budget = budget
        self._emit = emit
        self._groups: asyncio.Queue[Sequence[Request]] = asyncio.Queue()
        self._error: PolicyError | None = None
        self._answered = 0
        """Calls, not requests; so is the next."""
        self._failed = 0
        self._reason = ""
        self._way: Way = "instruction"

    async def run(self, requests: Sequence[Request], concurrency: int, together: int) -> None:
        """Answer all requests, `concurrency` calls at a time, up to `together` in one call.

        Raises:
            PolicyError: the policy cannot answer, most requests failed, or the budget is used
                up. All answers that were on their way have been emitted before.
        """
        if any(request.prefix for request in requests):
            self._way = await find_way(self._service, self._transport)
        for group in _groups(requests, together if self._service.dialect.several else 1):
            self._groups.put_nowait(group)
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(self._work()) for _ in range(concurrency)]
            await self._groups.join()
            for worker in workers:
                worker.cancel()
        if self._error is None and self._failed > self._answered:
            self._error = self._too_many_failures()
        if self._error is not None:
            raise self._error

    async def _work(self) -> None:
        while True:
            group = await self._groups.get()
            try:
                if self._error is None:
                    await self._answer(group)
            except PolicyError as error:
                self._stop(error)
            finally:
                self._groups.task_done()

    def _stop(self, error: PolicyError) -> None:
        """Send nothing more; what is on its way still arrives."""
        self._error = self._error or error
        self._transport.stop()

    async def _answer(self, group: Sequence[Request]) -> None:
        """One call for a group, until its answers were taken.

        So at most `concurrency` calls are unanswered or their answers not stored yet.
        """
        taken: list[asyncio.Future[None]] = []
        call = self._service.form.call(group, self._way)
        tokens = self._service.form.most_tokens(call)
        await self._budget.admit(len(group), sum(tokens), self._service.prices.cost(*tokens))
        try:
            if self._error is None:
                taken = self._receive(group, await self._service.ask(self._transport, call))
        except RejectedError as error:
            taken = await self._reject(group, error)
        except UnansweredError as error:
            self._fail(group, str(error))
        finally:
            await self._budget.release(len(group))
        await asyncio.gather(*taken)

    def _receive(self, group: Sequence[Request], answer: Answer) -> "list[asyncio.Future[None]]":
        self._answered += 1
        replies = read_replies(answer.body, len(group))
        prices = self._service.prices
        taken = [
            self._deliver(read_sample(request, reply, self._way, answer.seconds, prices))
            for request, reply in zip(group, replies, strict=False)
        ]
        for request in group[len(replies) :]:
            self._service.dialect.several = False
            self._groups.put_nowait([request])
        if self._budget.limited and not has_usage(answer.body):
            url = self._transport.base_url
            self._stop(PolicyError(f"{url} reports no usage, so that no budget can be kept"))
        return taken

    def _deliver(self, sample: Sample) -> "asyncio.Future[None]":
        self._service.statistics.count(sample)
        return self._emit(sample)

    async def _reject(
        self, group: Sequence[Request], error: RejectedError
    ) -> "list[asyncio.Future[None]]":
        if concerns_content(error):
            self._answered += 1
            refused = (
                Sample(key=r.key, code="", finish="refused", kept=not r.prefix) for r in group
            )
            return [self._deliver(sample) for sample in refused]
        if lacks_room(error):  # the prompt alone fills the context: final, as a cut-off answer is
            self._answered += 1
            return [self._deliver(Sample(key=r.key, code=r.prefix, finish="length")) for r in group]
        if refuses_prefill(error):
            self._stop(PolicyError(f"{self._transport.base_url} {_NO_PREFILL} ({error})"))
        elif policy_error := await explain(error, self._transport, self._service.form.model):
            self._stop(policy_error)
        else:
            self._fail(group, str(error))
        return []

    def _fail(self, group: Sequence[Request], reason: str) -> None:
        """These requests stay unanswered; stop where most do."""
        if self._error is not None:
            return  # it was not sent, or not repeated, because all stops
        self._service.statistics.failed += len(group)
        self._failed += 1
        self._reason = reason
        if self._failed >= _FAILURES_TO_STOP and self._failed > self._answered:
            self._stop(self._too_many_failures())

    def _too_many_failures(self) -> PolicyError:
        asked = self._failed + self._answered
        return PolicyError(
            f"{self._transport.base_url} left {self._failed} of {asked} calls unanswered, "
            f"the last one with: {self._reason}; check the policy's settings, or run again later"
        )


def _groups(requests: Sequence[Request], together: int) -> Iterator[Sequence[Request]]:
    """Neighbours with the same question and prefix, up to `together` of them at a time."""
    for _, same in groupby(requests, key=lambda r: (r.problem.key, r.prefix, r.drafts)):
        alike = list(same)
        for start in range(0, len(alike), together):
            yield alike[start : start + together]
