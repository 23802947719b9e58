"""Scorers behind servers: many calls in flight, scores in the order of the programs.

What survives a bad network is the transport's affair (`policies.openai.transport`). A program whose
calls all failed gets None, and is asked for again by the next run of the stage; where most fail, or
none could be answered, the scorer gives up with one line.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from funprm.errors import ConfigError, FunprmError, PolicyError
from funprm.interfaces import PaidScores
from funprm.policies.openai.budget import Budget, Prices, Statistics
from funprm.policies.openai.errors import concerns_content, explain
from funprm.policies.openai.requests import lacks_room
from funprm.policies.openai.responses import usage_of
from funprm.policies.openai.stream import Emit, Stream
from funprm.policies.openai.transport import RejectedError, Transport, UnansweredError
from funprm.records import Json, LabelledProgram

_FAILURES_TO_STOP = 8
"""So many failures, if they outnumber the answers, show that the rest would fail, too."""
_AHEAD = 2
"""Programs that may be asked about before the first one's scores came, per call at a time."""

Scores = tuple[float, ...] | None
Body = Mapping[str, Json]


class Unfit(Exception):  # noqa: N818  (a finding, not an error)
    """The server will never score this program: too long, refused, or answered by no score."""


@dataclass(eq=False, kw_only=True)
class Remote:
    """How a server is reached, and what its answers may cost."""

    transport: ClassVar[frozenset[str]] = frozenset(
        """base_url api_key_env concurrency timeout retries price_input price_output budget_tokens
        budget_cost""".split()
    )

    model: str
    """The name that the server knows it by."""
    base_url: str
    """The address below which the endpoint lies."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; unset for servers that want none."""
    concurrency: int = 16
    """Calls at a time."""
    timeout: float = 600.0
    """Seconds for one attempt, from the connection to the last byte."""
    retries: int = 8
    """Further attempts after a fault."""
    price_input: float = 0.0
    """Money per million prompt tokens."""
    price_output: float = 0.0
    """Money per million completion tokens."""
    budget_tokens: int = 0
    """Prompt and completion tokens that one call of `score` may spend; 0: no limit."""
    budget_cost: float = 0.0
    """Money that one call of `score` may spend; 0: no limit."""

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: a value is out of its range.
        """
        least = {"concurrency": 1, "retries": 0, "budget_tokens": 0, "budget_cost": 0}
        for name, bound in least.items():
            if not bound <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} = {getattr(self, name)}: expected {bound} or more")
        if not 0 < self.timeout < math.inf:
            raise ConfigError(f"timeout = {self.timeout}: expected seconds above 0")
        if not self.model or not self.base_url.startswith(("http://", "https://")):
            raise ConfigError("expected a model's name, and a base_url that begins with http")
        if self.budget_cost and not (self.price_input or self.price_output):
            raise ConfigError("budget_cost needs prices: set price_input and price_output")

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[Scores]:
        """Scores per program, in order: empty where it does not fit, None after faults.

        Raises:
            PolicyError: wrong key, unknown model, no connection, most calls failed, an answer that
                is no score, or the budget is used up; raised after all scores on their way.
        """
        if not programs:
            return iter(())

        def produce(emit: Emit[Scores]) -> Coroutine[Any, Any, None]:
            return _Session(self).run(programs, emit)

        return iter(Stream[Scores](produce))

    def most_tokens(self, body: Body) -> tuple[int, int]:
        """About the most that a call can take: prompt and completion tokens."""
        return len(str(body)) // 3, int(body.get("max_tokens", 0))

    @property
    def endpoint(self) -> tuple[str, str]:
        """The path below `base_url`, and the field of an answer that holds the results."""
        raise NotImplementedError

    async def ask(self, call: "Call", program: LabelledProgram) -> tuple[float, ...]:
        """A program's scores, by one call or several.

        Args:
            call: sends a body under a name (the same for the same question) and gives the answer's.
            program: what is scored.

        Raises:
            Unfit: there will never be any.
            RejectedError: as `Transport.post`; UnansweredError and PolicyError likewise.
        """
        raise NotImplementedError


Call = Callable[[Body, str], Coroutine[Any, Any, Body]]


class _Session:
    """One `score`: its transport, budget and failures."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._statistics = Statistics()
        self._prices = Prices(input=remote.price_input, output=remote.price_output)
        self._budget = Budget(
            self._statistics, tokens=remote.budget_tokens, cost=remote.budget_cost
        )
        self._free = asyncio.Semaphore(remote.concurrency)
        self._error: FunprmError | None = None
        self._failed = 0
        self._reason = ""

    async def run(self, programs: Sequence[LabelledProgram], emit: Emit[Scores]) -> None:
        """Emit the scores of all programs, in order; raise what stopped it at the end."""
        remote = self._remote
        pending: deque[asyncio.Task[Scores]] = deque()
        async with (
            Transport(
                remote.base_url,
                remote.api_key_env,
                self._statistics,
                timeout=remote.timeout,
                retries=remote.retries,
            ) as transport,
            asyncio.TaskGroup() as tasks,
        ):
            self._transport = transport
            for program in programs:
                if len(pending) >= _AHEAD * remote.concurrency:
                    await emit(await pending.popleft())
                if self._error is not None:
                    break
                pending.append(tasks.create_task(self._score(program)))
            while pending:
                await emit(await pending.popleft())
        if self._error is None and self._failed > self._statistics.answers:
            self._error = self._too_many_failures()
        if self._error is not None:
            raise self._error

    async def _score(self, program: LabelledProgram) -> Scores:
        """A program's scores with what they cost; None where there was a fault."""
        spent = Statistics()

        async def call(body: Body, name: str) -> Body:
            return await self._call(body, name, spent)

        try:
            found = await self._remote.ask(call, program)
        except Unfit:
            found = ()
        except RejectedError as error:
            if lacks_room(error) or concerns_content(error):
                found = ()
            else:
                path, _ = self._remote.endpoint
                self._stop(await explain(error, self._transport, self._remote.model, path))
                self._fail(str(error))
                return None
        except UnansweredError as error:
            self._fail(str(error))
            return None
        except FunprmError as error:
            self._stop(error)
            return None
        tokens = spent.prompt_tokens + spent.completion_tokens
        return PaidScores(found, tokens=tokens, cost=spent.cost)

    async def _call(self, body: Body, name: str, spent: Statistics) -> Body:
        path, field = self._remote.endpoint
        most = self._remote.most_tokens(body)
        async with self._free:
            if self._error is not None:
                raise UnansweredError("stopped before it was sent")
            await self._budget.admit(1, sum(most), self._prices.cost(*most))
            try:
                answer = (await self._transport.post(path, body, name, field)).body
            finally:
                await self._budget.release(1)
        prompt, completion = usage_of(answer)
        self._statistics.answers += 1
        for total in (self._statistics, spent):
            total.spend(prompt, completion, self._prices.cost(prompt, completion))
        if self._budget.limited and not prompt + completion:
            raise PolicyError(
                f"{self._remote.base_url} reports no usage, so that no budget can be kept"
            )
        return answer

    def _stop(self, error: FunprmError | None) -> None:
        """Send nothing more; what is on its way still arrives."""
        if error is not None:
            self._error = self._error or error
            self._transport.stop()

    def _fail(self, reason: str) -> None:
        """A program stays without scores; stop where most do."""
        if self._error is not None:
            return  # it was not sent, or not repeated, because all stops
        self._failed, self._reason = self._failed + 1, reason
        if self._failed >= _FAILURES_TO_STOP and self._failed > self._statistics.answers:
            self._stop(self._too_many_failures())

    def _too_many_failures(self) -> PolicyError:
        asked = self._failed + self._statistics.answers
        return PolicyError(
            f"{self._remote.base_url} left {self._failed} of {asked} calls unanswered, the last "
            f"one with: {self._reason}; check the scorer's settings, or run again later"
        )
