"""From requests to HTTP calls, in the words that a server understands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from funprm.interfaces import Request
from funprm.policies.openai.budget import Prices, Statistics
from funprm.policies.openai.health import Health
from funprm.policies.openai.prefixes import PREFILL, Way, instruct
from funprm.policies.openai.transport import Answer, RejectedError, Transport
from funprm.prompts import Turn, answer_prefix, as_text, build_chat
from funprm.records import Json, key_of

Endpoint = Literal["chat", "completions"]

PATHS: dict[Endpoint, str] = {"chat": "/chat/completions", "completions": "/completions"}

_SEEDS = 2**31
"""Servers differ in the width of a seed; all take 31 bits."""

_CHARACTERS_PER_TOKEN = 3

_ADAPTABLE: dict[str, str | None] = {
    "max_tokens": "max_completion_tokens",
    "n": None,
    "seed": None,
    "logprobs": None,
    "top_logprobs": None,
    "stop": None,
}
"""Parameters that a server may refuse, with their other name; None: it can do without."""

_UNKNOWN = re.compile(
    r"unsupported|not support|unrecognized|unknown|unexpected|not permitted|not allowed|extra",
    re.IGNORECASE,
)


_LEAST_ROOM = 16
"""Tokens of an answer below which it is not worth asking."""

_NO_ROOM = re.compile(
    r"context[ _](length|window|size)|prompt is too long|too many input tokens", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP call for one or more answers to the same prompt."""

    path: str
    body: Mapping[str, Json]
    name: str
    """The same for the same requests, whatever happens: the idempotency key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """How requests become calls: all that determines the answers."""

    model: str
    endpoint: Endpoint
    style: str
    sampling: Mapping[str, Json]
    """Sampling parameters as they are sent, `max_tokens` among them."""
    logprobs: bool
    extra_body: Mapping[str, Json]

    def call(self, requests: Sequence[Request], way: Way) -> Call:
        """The call that asks for one answer for each request; they share problem and prefix.

        Args:
            requests: at least one.
            way: how a prefix is continued; without meaning for fresh programs.
        """
        first = requests[0]
        endpoint = self._endpoint(first.prefix, way)
        body: dict[str, Json] = {"model": self.model, **self._question(first, endpoint, way)}
        body |= self.sampling
        if len(requests) > 1:
            body["n"] = len(requests)
        else:
            body["seed"] = first.seed % _SEEDS
        if self.logprobs:
            # Without the number of others beside, llama-cpp-python gives none of a chat.
            chat: dict[str, Json] = {"logprobs": True, "top_logprobs": 0}
            body |= chat if endpoint == "chat" else {"logprobs": 1}
        body |= self.extra_body
        name = key_of("openai_api", [request.key for request in requests])
        return Call(path=PATHS[endpoint], body=body, name=name)

    def most_tokens(self, call: Call) -> tuple[int, int]:
        """About the most that one answer can take: prompt and completion tokens."""
        question = str(call.body.get("messages") or call.body.get("prompt"))
        return len(question) // _CHARACTERS_PER_TOKEN, int(self.sampling["max_tokens"])

    def _endpoint(self, prefix: str, way: Way) -> Endpoint:
        return "completions" if prefix and way == "completions" else self.endpoint

    def _question(self, request: Request, endpoint: Endpoint, way: Way) -> dict[str, Json]:
        """Prompt and, where the server continues it, the beginning of the answer."""
        chat, prefix = build_chat(request.problem, self.style, request.drafts), request.prefix
        if prefix and way == "instruction":
            chat, prefix = (*chat[:-1], instruct(chat[-1], prefix)), ""
        begin = answer_prefix(self.style, prefix, request.blank_lines)
        # The block that the beginning opens is all that is wanted: stop where it is closed.
        question: dict[str, Json] = {} if begin == prefix else {"stop": ["\n```"]}
        if endpoint == "completions":
            return {"prompt": f"{as_text(chat)}\n{begin}", **question}
        if prefix:
            chat = (*chat, Turn("assistant", begin))
            question |= PREFILL
        return {"messages": [turn._asdict() for turn in chat], **question}


@dataclass(kw_only=True)
class Dialect:
    """What a server turned out to understand, learnt from its refusals."""

    way: Way | None = None
    """How it continues a prefix; None until it was asked."""
    several: bool = True
    """Whether it gives several answers in one call."""
    unknown: set[str] = field(default_factory=set)
    """Parameters that it refused and that are renamed or left out since."""

    def translate(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """The body without what the server does not know."""
        spoken = dict(body)
        for name in self.unknown & spoken.keys():
            value, other = spoken.pop(name), _ADAPTABLE[name]
            if other is not None:
                spoken[other] = value
        if "logprobs" in self.unknown:
            spoken.pop("top_logprobs", None)  # alone it is refused in turn
        return spoken

    def learn(self, error: RejectedError, spoken: Mapping[str, Json]) -> bool:
        """Whether the refused body can be put differently; remembers how.

        Only a 400 or 422 that names a parameter of the body teaches something: that it is
        unknown, or that there may be one answer only.
        """
        if error.status not in (400, 422):
            return False
        words = [error.parameter] if error.parameter else re.findall(r"\w+", error.message)
        learnt = _ADAPTABLE.keys() & spoken.keys() & set(words)
        if not _UNKNOWN.search(f"{error.code} {error.message}"):
            learnt &= {"n"}
        self.unknown |= learnt
        return bool(learnt)


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What a policy knows of its server, and how it asks it."""

    form: Form
    dialect: Dialect
    prices: Prices
    statistics: Statistics
    health: Health

    async def ask(self, transport: Transport, call: Call) -> Answer:
        """The answer to a call, put differently where the server refuses a parameter.

        Where prompt and `max_tokens` do not fit in the model's context together, the answer gets
        the room that is left (found by halving), as with a model in this process.

        Raises:
            RejectedError: as `Transport.post`; the others likewise.
        """
        body = dict(call.body)
        while True:
            spoken = self.dialect.translate(body)
            try:
                return await transport.post(call.path, spoken, call.name)
            except RejectedError as error:
                if lacks_room(error) and body["max_tokens"] >= 2 * _LEAST_ROOM:
                    body["max_tokens"] //= 2
                elif not self.dialect.learn(error, spoken):
                    raise


def lacks_room(error: RejectedError) -> bool:
    """Whether prompt and answer were refused as too long for the model's context."""
    text = f"{error.code} {error.message}"
    return error.status in (400, 413, 422) and _NO_ROOM.search(text) is not None
