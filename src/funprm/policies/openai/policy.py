"""A policy behind an OpenAI-compatible API: commercial, vLLM, SGLang, llama.cpp; one or several.

Answers are yielded the moment they arrive. The key is read from an environment variable when
calls are made, and kept nowhere else. What is guaranteed, and what cannot be, on a bad network
is written in `transport`.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Literal, get_args

import httpx

from funprm.errors import ConfigError
from funprm.interfaces import Request, Sample
from funprm.policies.openai.budget import Budget, Prices, Statistics
from funprm.policies.openai.health import Health, of_servers
from funprm.policies.openai.prefixes import INSTRUCTION, Way
from funprm.policies.openai.requests import Dialect, Endpoint, Form, Service
from funprm.policies.openai.servers import Server
from funprm.policies.openai.session import Session
from funprm.policies.openai.stream import Emit, Stream
from funprm.policies.openai.transport import Transport
from funprm.prompts import chats_of, prompt_identity
from funprm.records import Json, key_of

_OWN_FIELDS = frozenset({"model", "messages", "prompt", "n", "stream", "seed"})
"""What `extra_body` must leave to the policy."""

_CHATS_AT_ONCE = 256

Continuation = Literal["auto", "prefill", "completions", "instruction"]


@dataclass(eq=False)
class OpenAIPolicy:
    """Samples programs from a model behind an OpenAI-compatible API.

    Example:
        >>> policy = OpenAIPolicy("qwen", base_url="http://127.0.0.1:8000/v1", concurrency=8)
        >>> policy.identity()["model"]
        'qwen'

    Raises:
        ConfigError: a setting is out of range, or two contradict each other.
    """

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False
    transport: ClassVar[frozenset[str]] = frozenset(
        """base_url api_key_env n_per_request concurrency batch timeout retries price_input
        price_output budget_tokens budget_cost""".split()
    )

    model: str
    base_url: str | list[str] = "https://api.openai.com/v1"
    """The address below which `/chat/completions` lies; a list: of several servers of one model,
    which share the problems. A server that does not answer is left alone until it does."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; unset for servers that want none."""
    endpoint: Endpoint = "chat"
    """`completions`: raw text, for models without a chat format."""
    prompt: str = "chain_of_function"
    """The prompt's style, one of `prompts.STYLES`."""
    temperature: float | None = None
    """None: not sent, so that the server's default holds (reasoning models refuse any)."""
    top_p: float | None = None
    max_tokens: int = 4096
    """Bound on an answer's tokens, hidden reasoning included."""
    reasoning_effort: str = ""
    """As the server names it; empty: not sent."""
    n_per_request: int = 1
    """Answers to the same prompt that one call asks for, where the server gives several; such
    calls carry no seed, since a server might give them all the same answer."""
    concurrency: int = 32
    """Calls in flight, at each server."""
    batch: int = 0
    """Requests that are answered before the next ones are begun; 0: all of a stage at once, of
    prompts of several chats 256."""
    timeout: float = 600.0
    """Seconds for one attempt, from the connection to the last byte. Give long reasoning time: an
    answer that comes too late is paid, and asked for again."""
    retries: int = 8
    """Further attempts after a fault."""
    logprobs: bool = False
    continuation: Continuation = "auto"
    """How a prefix is continued; `auto` asks the server, once."""
    price_input: float = 0.0
    """Money per million prompt tokens; discounts (cached prompts) are not counted."""
    price_output: float = 0.0
    """Money per million completion tokens."""
    budget_tokens: int = 0
    """Prompt and completion tokens that this object may spend; 0: no limit."""
    budget_cost: float = 0.0
    """Money that this object may spend; 0: no limit."""
    extra_body: dict[str, Json] = field(default_factory=dict)
    """Further fields of each call, such as `{"top_k": 20}`."""

    def __post_init__(self) -> None:
        _check(self)
        way: Way | None = None if self.continuation == "auto" else self.continuation
        if self.endpoint == "completions" and way is None:
            way = "completions"
        if self.chats > 1:  # else no program is done before all first chats are
            self.batch = self.batch or _CHATS_AT_ONCE
        form = Form(
            model=self.model,
            endpoint=self.endpoint,
            style=self.prompt,
            sampling=self._sampling(),
            logprobs=self.logprobs,
            extra_body=self.extra_body,
        )
        prices = Prices(input=self.price_input, output=self.price_output)
        self._statistics = Statistics()
        self._services = [
            Service(
                form=form,
                dialect=Dialect(way=way),
                prices=prices,
                statistics=self._statistics,
                health=health,
            )
            for health in of_servers(_addresses(self.base_url))
        ]
        self._held: dict[str, Sample] = {}

    def identity(self) -> Mapping[str, Json]:
        """What determines the answers: model, prompts, sampling, way of continuing."""
        return {
            "policy": "openai_api",
            "model": self.model,
            "form": self.endpoint,
            "prompt": prompt_identity(self.prompt),
            "sampling": self._sampling(),
            "continuation": self.continuation,
            "instruction": key_of(INSTRUCTION),
            "extra_body": self.extra_body,
        }

    @property
    def streams(self) -> bool:
        """Whether one call takes all requests of a stage."""
        return not self.batch

    @property
    def chats(self) -> int:
        """How many chats the prompt has for one program."""
        return chats_of(self.prompt)

    def stats(self) -> Statistics:
        """Calls, repetitions, refusals, tokens and cost so far."""
        return replace(self._statistics)

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        """Answers as they arrive, one per request that could be answered.

        A request that failed in all attempts is left out (`stats().failed`). An answer that
        arrived after the iterator was closed is kept, and yielded when it is asked for again.

        Raises:
            PolicyError: wrong key, unknown model, no connection, most requests failed, or the
                budget is used up; raised after all answers on their way have been yielded.
        """
        for request in requests:
            if request.key in self._held:
                yield self._held[request.key]
        missing = [request for request in requests if self._held.pop(request.key, None) is None]
        if not missing:
            return
        stream = Stream(partial(self._answer, missing))
        try:
            yield from stream
        finally:
            self._held |= {sample.key: sample for sample in stream.leftovers()}

    async def _answer(self, requests: Sequence[Request], emit: Emit[Sample]) -> None:
        budget = Budget(self._statistics, tokens=self.budget_tokens, cost=self.budget_cost)
        async with AsyncExitStack() as stack:
            servers = [
                Server(service, await stack.enter_async_context(self._transport(service.health)))
                for service in self._services
            ]
            session = Session(servers, self._statistics, budget, emit)
            await session.run(requests, self.concurrency, self.n_per_request)

    def _transport(self, health: Health) -> Transport:
        return Transport(
            health.url,
            self.api_key_env,
            self._statistics,
            timeout=self.timeout,
            retries=self.retries,
            health=health,
        )

    def _sampling(self) -> dict[str, Json]:
        """The sampling parameters as they are sent."""
        wanted = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "reasoning_effort": self.reasoning_effort or None,
        }
        set_ones = {name: value for name, value in wanted.items() if value is not None}
        return {"max_tokens": self.max_tokens, **set_ones}


def _check(policy: OpenAIPolicy) -> None:
    """Raise ConfigError for the first setting that cannot be used."""
    prompt_identity(policy.prompt)
    addresses = _addresses(policy.base_url)
    for address in addresses:
        _check_url(address)
    if not addresses or len({address.rstrip("/") for address in addresses}) < len(addresses):
        raise ConfigError(
            f"base_url is {policy.base_url!r}, expected an address, or a list of different ones"
        )
    _check_choices(policy)
    _check_numbers(policy)
    if not policy.model:
        raise ConfigError("model is empty: set it to a name that the server offers")
    if policy.endpoint == "completions" and policy.continuation == "prefill":
        raise ConfigError(
            "continuation 'prefill' needs endpoint 'chat': set continuation to 'completions'"
        )
    if policy.budget_cost and not (policy.price_input or policy.price_output):
        raise ConfigError("budget_cost needs prices: set price_input and price_output")
    if taken := sorted(_OWN_FIELDS & policy.extra_body.keys()):
        raise ConfigError(f"extra_body must not set {', '.join(taken)}: the policy does")
    try:
        json.dumps(policy.extra_body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"extra_body cannot be written as JSON: {error}") from None


def _addresses(base_url: str | list[str]) -> list[str]:
    return [base_url] if isinstance(base_url, str) else base_url


def _check_url(base_url: str) -> None:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"base_url is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"base_url is {base_url!r}, expected http://... or https://...")
    if url.userinfo or url.query:
        raise ConfigError(
            "base_url holds credentials or a query: keep keys in the environment variable that "
            "api_key_env names"
        )


def _check_choices(policy: OpenAIPolicy) -> None:
    """Settings with few values have one of them."""
    for name, known in (("endpoint", Endpoint), ("continuation", Continuation)):
        value = getattr(policy, name)
        if value not in get_args(known):
            raise ConfigError(f"{name} is {value!r}, expected one of {', '.join(get_args(known))}")


def _check_numbers(policy: OpenAIPolicy) -> None:
    """All numbers lie in their ranges."""
    least = {
        "max_tokens": 1,
        "n_per_request": 1,
        "concurrency": 1,
        "batch": 0,
        "retries": 0,
        "temperature": 0,
        "price_input": 0,
        "price_output": 0,
        "budget_tokens": 0,
        "budget_cost": 0,
    }
    for name, bound in least.items():
        value = getattr(policy, name)
        if value is not None and not (bound <= value < math.inf):
            raise ConfigError(f"{name} is {value}, expected {bound} or more")
    if not 0 < policy.timeout < math.inf:
        raise ConfigError(f"timeout is {policy.timeout}, expected seconds above 0")
    if policy.top_p is not None and not 0 < policy.top_p <= 1:
        raise ConfigError(f"top_p is {policy.top_p}, expected more than 0, at most 1")
