"""Language models as judges: the score is the mean grade under the model's own probabilities.

A grade is one token, so that one call gives its whole distribution: the expectation over the
log-probabilities of the grades tells programs apart that would all be answered "9". Servers that
give no log-probabilities are asked several times for a text, whose grades are averaged.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from funprm.errors import ConfigError, PolicyError
from funprm.policies.openai.responses import text_of
from funprm.records import Json, LabelledProgram, key_of, seed_of
from funprm.scorers.grades import (
    CORRECTNESS,
    DIGITS,
    GradePrompt,
    mean_of,
    read_prompt,
    top_probabilities,
)
from funprm.scorers.remote import Call, Remote, Unfit

_TOP = 20
"""The most log-probabilities per token that OpenAI's protocol gives."""


@dataclass(eq=False, kw_only=True)
class Judge(Remote):
    """A model behind an OpenAI-compatible server that grades each program by itself."""

    base_url: str = "https://api.openai.com/v1"
    """The address below which `/chat/completions` lies."""
    prompt_file: str = ""
    """A prompt of one's own, with `{{statement}}` and `{{code}}`."""
    grades: str = DIGITS
    """One character per grade, worst first."""
    criteria: tuple[str, ...] = (CORRECTNESS,)
    """What is judged, each in a call of its own; the score is the mean."""
    repeats: int = 1
    """Calls per criterion, with different seeds."""
    logprobs: bool = True
    """False: a text is asked for, and the last grade in it counts."""
    temperature: float | None = None
    """None: not sent."""
    max_tokens: int = 1
    """Bound on an answer; a text, or a model that reasons first, wants more."""
    extra_body: Mapping[str, Json] | None = None
    """Further fields of each call, such as `chat_template_kwargs = { enable_thinking = false }`."""

    transport: ClassVar[frozenset[str]] = Remote.transport | {"prompt_file"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.repeats < 1 or self.max_tokens < 1 or not self.criteria:
            raise ConfigError("repeats, max_tokens, criteria: expected one or more")
        self._prompt = GradePrompt(text=read_prompt(self.prompt_file), grades=self.grades)

    def identity(self) -> Mapping[str, Json]:
        """The model's name, the question, and how it is asked."""
        return {
            "scorer": "judge",
            "model": self.model,
            "prompt": self._prompt.text,
            "grades": self.grades,
            "criteria": list(self.criteria),
            "asked": [self.repeats, self.logprobs, self.temperature, self.max_tokens],
            "extra_body": dict(self.extra_body or {}),
        }

    @property
    def endpoint(self) -> tuple[str, str]:
        """Chat completions."""
        return "/chat/completions", "choices"

    async def ask(self, call: Call, program: LabelledProgram) -> tuple[float, ...]:
        """The mean grade over criteria and repeats."""
        wanted = list(product(self.criteria, range(self.repeats)))
        asked = [self._body(program, criterion, number) for criterion, number in wanted]
        answers = await asyncio.gather(
            *(call(body, key_of("judge", self.model, body)) for body in asked)
        )
        score = mean_of([self._grade(answer["choices"][0]) for answer in answers])
        if score is None:
            raise Unfit
        return (score,)

    def _body(self, program: LabelledProgram, criterion: str, number: int) -> dict[str, Json]:
        turns = self._prompt.asking(program, criterion)
        body: dict[str, Any] = {"model": self.model, "messages": turns}
        body |= {"max_tokens": self.max_tokens, "seed": seed_of("judge", turns, number)}
        if self.logprobs:
            body |= {"logprobs": True, "top_logprobs": _TOP}
        if self.temperature is not None:
            body["temperature"] = self.temperature
        return body | dict(self.extra_body or {})

    def _grade(self, choice: Mapping[str, Json]) -> float | None:
        if not self.logprobs:
            return self._prompt.said(text_of(choice))
        found = top_probabilities(choice)
        if not found:
            raise PolicyError(
                f"{self.base_url} gives no log-probabilities for {self.model!r}: set logprobs = "
                "false, max_tokens to room for an answer, and repeats to 4 or more"
            )
        return self._prompt.expected(found)
