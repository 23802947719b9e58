"""What the calls of an API cost, and how a budget is kept."""

import asyncio
from dataclasses import dataclass

from funprm.errors import PolicyError
from funprm.interfaces import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """Money per million tokens."""

    input: float = 0.0
    output: float = 0.0

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


@dataclass(kw_only=True)
class Statistics:
    """Counts since the policy was made, for progress displays and reports."""

    requests: int = 0
    """HTTP requests that were sent for answers, repeated ones included."""
    retries: int = 0
    rate_limited: int = 0
    """Responses 429."""
    moved: int = 0
    """Requests that went to another server, since theirs was lost."""
    answers: int = 0
    refusals: int = 0
    empty: int = 0
    cut_off: int = 0
    """Answers that reached the length limit."""
    changed: int = 0
    """Answers that changed the prefix they were to keep."""
    failed: int = 0
    """Requests without an answer after all attempts."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Hidden reasoning included."""
    cost: float = 0.0

    def spend(self, prompt_tokens: int, completion_tokens: int, cost: float) -> None:
        """Add what a call has cost."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.cost += cost

    def count(self, sample: Sample) -> None:
        """Add an answer and its usage."""
        self.answers += 1
        self.refusals += sample.finish == "refused"
        self.empty += sample.finish == "empty"
        self.cut_off += sample.finish == "length"
        self.changed += not sample.kept
        self.spend(sample.prompt_tokens, sample.completion_tokens, sample.cost)


class Budget:
    """Admits calls as long as tokens and money last.

    Each call in flight reserves what an answer has cost on average so far (the first ones: the
    most that one can cost), so that the limit is overstepped by deviations from the average
    only. What a server did for a dropped connection is not known, and not counted.
    """

    def __init__(self, statistics: Statistics, *, tokens: int, cost: float) -> None:
        """Limits in tokens (prompt and completion) and in money; 0 is no limit."""
        self._statistics = statistics
        self._limit_tokens = tokens
        self._limit_cost = cost
        self._in_flight = 0
        self._changed = asyncio.Condition()

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._limit_tokens > 0 or self._limit_cost > 0

    async def admit(self, answers: int, most_tokens: int, most_cost: float) -> None:
        """Wait until `answers` more answers fit.

        Raises:
            PolicyError: the budget is used up.
        """
        async with self._changed:
            while not self._fits(answers, most_tokens, most_cost):
                if self._in_flight == 0:
                    raise PolicyError(self._used_up())
                await self._changed.wait()
            self._in_flight += answers

    async def release(self, answers: int) -> None:
        """The call of `answers` answers has ended; its usage is in the statistics."""
        async with self._changed:
            self._in_flight -= answers
            self._changed.notify_all()

    def _fits(self, answers: int, most_tokens: int, most_cost: float) -> bool:
        spent = self._statistics
        tokens = spent.prompt_tokens + spent.completion_tokens
        if not self._in_flight:  # one call at a time learns what an answer costs
            return not self._reached(tokens, spent.cost)
        seen, planned = spent.answers, self._in_flight + answers
        per_tokens = tokens / seen if seen else most_tokens
        per_cost = spent.cost / seen if seen else most_cost
        return not self._reached(tokens + planned * per_tokens, spent.cost + planned * per_cost)

    def _reached(self, tokens: float, cost: float) -> bool:
        return (0 < self._limit_tokens <= tokens) or (0 < self._limit_cost <= cost)

    def _used_up(self) -> str:
        spent = self._statistics
        tokens = spent.prompt_tokens + spent.completion_tokens
        limits = f"{self._limit_tokens:,} tokens" if self._limit_tokens else ""
        if self._limit_cost:
            limits += f"{' or ' if limits else ''}a cost of {self._limit_cost:g}"
        return (
            f"the budget of {limits} is used up ({tokens:,} tokens, cost {spent.cost:.4g}): "
            "all answers are kept; raise budget_tokens or budget_cost to go on"
        )
