"""Where programs come from: a server that speaks OpenAI's protocol, or a policy in this process.

All that is used of the policies' modules is imported here.
"""

import asyncio
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from funprm.errors import PolicyError
from funprm.interfaces import Policy, Request, Sample
from funprm.pipeline.revising import revising
from funprm.policies.openai.budget import Prices, Statistics
from funprm.policies.openai.responses import read_replies, read_sample
from funprm.policies.openai.transport import RejectedError, Transport, UnansweredError
from funprm.records import Json, Problem, key_of, seed_of
from funprm.serve.errors import HttpError
from funprm.serve.judging import JudgePool, WaitingJudge
from funprm.serve.settings import ServeSettings

Arrived = Callable[[int, Sample], None]
"""Told of a program and its number, the moment it exists."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Programs that are to be sampled."""

    model: str
    messages: Sequence[Mapping[str, Json]]
    """The conversation, as OpenAI's protocol has it."""
    problem: Problem
    """The same for policies in this process, which write their own prompt."""
    count: int
    seed: int | None = None
    options: Mapping[str, Json] = field(default_factory=dict)
    """Further fields of each call, such as `temperature`."""


class Upstream(Protocol):
    """Samples programs."""

    async def models(self) -> list[str]:
        """Names of what it offers; empty where it does not say."""
        ...

    async def sample(self, wanted: Wanted, arrived: Arrived) -> list[str]:
        """Sample programs; cancelling it ends all calls.

        Returns:
            Why programs are missing, a line for each.

        Raises:
            HttpError: there is none at all.
        """
        ...

    async def close(self) -> None:
        """End all connections."""
        ...


class OpenAIUpstream:
    """A server behind an address, with one call per program.

    Args:
        base_url: the address below which `/chat/completions` lies.
        key_variable: environment variable that holds its key.
        settings: time-outs, attempts, calls in flight.
    """

    def __init__(self, base_url: str, key_variable: str, settings: ServeSettings) -> None:
        self._transport = Transport(
            base_url,
            key_variable,
            Statistics(),
            timeout=settings.upstream_seconds,
            retries=settings.upstream_retries,
        )
        self._slots = asyncio.Semaphore(settings.upstream_calls)

    async def models(self) -> list[str]:
        """As it says itself."""
        return await self._transport.models()

    async def sample(self, wanted: Wanted, arrived: Arrived) -> list[str]:
        """One call per program; see `Upstream`."""
        errors: list[Exception] = []
        name = uuid.uuid4().hex

        async def one(index: int) -> None:
            try:
                sample = await self._ask(wanted, index, f"{name}-{index}")
            except (RejectedError, UnansweredError, PolicyError) as error:
                errors.append(error)
            else:
                arrived(index, sample)

        async with asyncio.TaskGroup() as calls:
            for index in range(wanted.count):
                calls.create_task(one(index))
        if len(errors) == wanted.count:
            raise _failure(errors[0])
        return [str(error) for error in errors]

    async def close(self) -> None:
        """End all connections."""
        await self._transport.__aexit__(None, None, None)

    async def _ask(self, wanted: Wanted, index: int, name: str) -> Sample:
        body = {**wanted.options, "model": wanted.model, "messages": list(wanted.messages)}
        if wanted.seed is not None:
            body["seed"] = _seed(wanted, index)
        async with self._slots:
            answer = await self._transport.post("/chat/completions", body, name)
        reply = read_replies(answer.body, 1)[0]
        request = _request(wanted, index)
        return read_sample(request, reply, "instruction", answer.seconds, Prices())


class PolicyUpstream:
    """A policy in this process; it answers one request after the other.

    What a request says of sampling does not count: the policy's settings do. Where its prompt has
    several chats, it goes through all of them.

    Args:
        policy: writes programs.
        name: what clients call it.
        judge: decides between a program and its rewritten form.
    """

    def __init__(self, policy: Policy, name: str, judge: JudgePool) -> None:
        self._policy, self._name, self._judge = policy, name, judge
        self._free = asyncio.Lock()

    async def models(self) -> list[str]:
        """Its own name."""
        return [self._name]

    async def sample(self, wanted: Wanted, arrived: Arrived) -> list[str]:
        """All programs in one call of the policy; see `Upstream`."""
        if wanted.model != self._name:
            raise HttpError(
                404,
                f"there is no model {wanted.model!r} here, only {self._name!r}",
                code="model_not_found",
                param="model",
            )
        async with self._free:
            try:
                count = await self._sample(wanted, arrived)
            except PolicyError as error:
                raise _failure(error) from error
        if not count:
            raise HttpError(502, "the policy has no answer to this", code="upstream_error")
        return ["the policy gave no answer"] * (wanted.count - count)

    async def close(self) -> None:
        """Nothing is open."""

    async def _sample(self, wanted: Wanted, arrived: Arrived) -> int:
        """Sample in a thread, which ends at its next program when this is cancelled."""
        loop, stopped = asyncio.get_running_loop(), threading.Event()
        requests = [_request(wanted, index) for index in range(wanted.count)]
        index_of = {request.key: request.index for request in requests}

        policy = revising(self._policy, lambda: WaitingJudge(self._judge, loop))

        def work() -> int:
            count = 0
            samples = policy.sample(requests)
            with closing(samples):  # type: ignore[type-var]  # all policies yield
                for sample in samples:
                    if stopped.is_set():
                        break
                    loop.call_soon_threadsafe(arrived, index_of[sample.key], sample)
                    count += 1
            return count

        task = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            stopped.set()
            await asyncio.wait({task})  # the next request must not meet a busy policy
            raise


def _request(wanted: Wanted, index: int) -> Request:
    key = key_of("served", wanted.problem.key, wanted.seed, index)
    return Request(key=key, problem=wanted.problem, index=index, seed=_seed(wanted, index))


def _seed(wanted: Wanted, index: int) -> int:
    """The first program has the request's own seed, as with one program per request."""
    if wanted.seed is not None and index == 0:
        return wanted.seed
    return seed_of("served", wanted.problem.key, wanted.seed, index)


def _failure(error: Exception) -> HttpError:
    """What it means for the client that no call was answered."""
    if not isinstance(error, RejectedError):
        return HttpError(502, f"the upstream gave no answer: {error}", code="upstream_error")
    if error.status in (400, 404, 413, 422):
        return HttpError(
            400 if error.status == 422 else error.status,
            f"the upstream refuses the request: {error.message}",
            code=error.code or "upstream_rejected",
            param=error.parameter,
        )
    if error.status == 429:
        message = f"the upstream has no quota left: {error.message}"
        return HttpError(429, message, code=error.code, retry_after=60)
    if error.status in (401, 403):
        message = "the upstream refuses this server's key"
        return HttpError(502, message, code="upstream_authentication")
    return HttpError(502, f"the upstream refuses the request ({error})", code="upstream_error")
