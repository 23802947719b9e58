"""A toy world: programs of a few functions, with known probabilities and values."""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import ClassVar

from funprm.interfaces import Request, Sample
from funprm.records import Json, LabelledProgram, Problem, Suite

PROBLEM = Problem(key="toy", problem_id="toy", statement="Toy.", hidden=Suite(kind="stdin"))
BODIES = "abc"
FUNCTIONS = 3
END = "\n\nf0()\n"
"""What ends a program."""


def opening(number: int) -> str:
    return f"{chr(10) * 2 if number else ''}def f{number}():\n"


def program(bodies: str) -> str:
    """The program whose functions have these bodies."""
    return "".join(opening(i) + f"    return '{body}'\n" for i, body in enumerate(bodies)) + END


def bodies_of(code: str) -> str:
    return "".join(re.findall(r"return '(\w)'", code))


def bodies_after(bodies: str) -> dict[str, float]:
    """How likely each next function is, where there is one; the past counts."""
    weights = [1.0 + 2 * bodies.count(body) + BODIES.index(body) for body in BODIES]
    return {body: w / sum(weights) for body, w in zip(BODIES, weights, strict=True)}


def ends_after(bodies: str) -> float:
    """How likely a program ends here."""
    return {0: 0.0, FUNCTIONS: 1.0}.get(len(bodies), 0.2)


@functools.cache
def probabilities(bodies: str = "") -> dict[str, float]:
    """Of all complete programs that begin so."""
    found = {bodies: ends_after(bodies)} if ends_after(bodies) else {}
    if ends_after(bodies) < 1:
        for body, chance in bodies_after(bodies).items():
            for whole, rest in probabilities(bodies + body).items():
                found[whole] = (1 - ends_after(bodies)) * chance * rest
    return found


def right(bodies: str) -> bool:
    """Which programs are right: those of at least two functions without a `c`."""
    return len(bodies) >= 2 and "c" not in bodies


@functools.cache
def value(bodies: str) -> float:
    """How likely a beginning leads to a right program."""
    return sum(chance for end, chance in probabilities(bodies).items() if right(end))


@dataclass(eq=False)
class ToyPolicy:
    """Writes programs of the toy world, two tokens a function: its first line, and its body."""

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False
    batch: int = 16
    stops: bool = True
    """Whether it ends at the wanted step; False: it writes programs to their end."""
    fails_after: int = 10**9
    asked: list[Request] = field(default_factory=list)

    def identity(self) -> Mapping[str, Json]:
        return {"policy": "toy"}

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        for request in requests:
            if len(self.asked) == self.fails_after:
                raise KeyboardInterrupt
            self.asked.append(request)
            yield self._answer(request)

    def _answer(self, request: Request) -> Sample:
        seed, skipped = request.continues or (request.seed, 0)
        if not self.stops:
            seed, skipped = request.seed, 0
        random = Random(seed)
        for _ in range(skipped):
            random.random()
        code, drawn, finish = request.prefix, 0, ""
        while not finish:
            bodies = bodies_of(code)
            if code.count("def") == len(bodies):
                ended = random.random() < ends_after(bodies)
                code += END if ended else opening(len(bodies))
                if ended:
                    finish = "stop"
                elif self.stops and request.steps and len(bodies) >= request.steps:
                    finish = "step"
            else:
                upper = list(accumulate(bodies_after(bodies).values()))
                place = random.random()
                code += f"    return '{BODIES[sum(place >= bound for bound in upper[:-1])]}'\n"
            drawn += 1
        return Sample(
            key=request.key,
            code=code,
            finish=finish,  # type: ignore[arg-type]
            completion_tokens=drawn,
            prompt_tokens=1 + code.count("\n"),
        )


@dataclass(eq=False)
class ToyScorer:
    """The values of the toy world, true or not."""

    values: Mapping[str, float] = field(default_factory=dict)
    """By bodies; others are true."""
    scored: int = 0

    def identity(self) -> Mapping[str, Json]:
        return {"scorer": "toy", "values": dict(self.values)}

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        for item in programs:
            self.scored += 1
            code = "".join(item.steps)
            bodies = bodies_of(code)
            scores = [
                self.values.get(bodies[: i + 1], value(bodies[: i + 1])) for i in range(len(bodies))
            ]
            if code.endswith(END):
                scores[-1] = self.values.get(bodies, float(right(bodies)))
            yield tuple(scores)
