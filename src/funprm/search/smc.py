"""Sequential Monte Carlo over functions: beginnings survive in proportion to their values.

With values V the programs follow p(x) V(x), where p is the policy: where V is the probability
that a beginning leads to a right program, that is the policy given that it is right. For any
values the weights are unbiased: over repetitions, the mean of `total` times a mean over particles
that are weighted by `share` is the sum over all programs of p(x) V(x) f(x).
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from funprm.records import Problem, key_of
from funprm.search.base import Search
from funprm.search.courses import Asking, Course
from funprm.search.parts import Part, following, fresh
from funprm.search.records import Node


@dataclass(frozen=True, slots=True)
class Particles:
    """Programs with weights."""

    nodes: tuple[Node, ...]
    """A program may occur several times."""
    shares: tuple[float, ...]
    """Weights that add up to 1; empty where no program has any."""
    total: float
    """Estimates the sum over all programs of p(x) V(x): with true values, the policy's pass
    rate."""


@dataclass(frozen=True, slots=True)
class _Particle:
    node: Node
    weight: float
    """In proportion to the value that its node gained since particles were last resampled."""
    copy: int = 0
    """Number among the particles that go on from the node."""


@dataclass(frozen=True)
class Smc(Search):
    """Resamples beginnings in proportion to their values.

    Raises:
        ConfigError: a setting is out of range.
    """

    resample: float = 0.5
    """Particles are resampled when their effective number falls below this share of N; 1: after
    every function."""

    def __post_init__(self) -> None:
        Search.__post_init__(self)
        self.require("resample", self.resample, "0 to 1", 0 <= self.resample <= 1)

    def grow(self, problem: Problem) -> Course:
        """The distinct programs of all particles."""
        found = yield from self.particles(problem)
        return list({node.key: node for node in found.nodes if node.complete}.values())

    def particles(self, problem: Problem) -> Asking[Particles]:
        """All particles with their weights."""
        total = 1.0
        nodes = yield [fresh(problem, index, steps=1) for index in range(self.n)]
        # What is lost has no weight; it stays, so that the estimates are unbiased.
        swarm = [_Particle(node, self._worth(node)) for node in map(_or_lost, nodes)]
        while any(particle.node.goes_on and particle.weight for particle in swarm):
            mean = math.fsum(particle.weight for particle in swarm) / self.n
            if _effective([particle.weight for particle in swarm]) < self.resample * self.n:
                total *= mean
                swarm = _resampled(swarm)
            going = [
                i for i, particle in enumerate(swarm) if particle.node.goes_on and particle.weight
            ]
            nodes = yield [self._part(problem, swarm[i]) for i in going]
            for i, node in zip(going, map(_or_lost, nodes), strict=True):
                gain = self._worth(node) / self._worth(swarm[i].node)
                swarm[i] = _Particle(node, swarm[i].weight * gain)
        weights = [particle.weight if particle.node.complete else 0.0 for particle in swarm]
        everything = math.fsum(weights)
        return Particles(
            tuple(particle.node for particle in swarm),
            tuple(weight / everything for weight in weights) if everything else (),
            total * everything / self.n,
        )

    def _worth(self, node: Node) -> float:
        return self.worth(node) if node.goes_on or node.complete else 0.0

    def _part(self, problem: Problem, particle: _Particle) -> Part:
        return following(problem, particle.node, particle.copy)


_LOST = Node(key="", problem_id="", finish="refused")


def _or_lost(node: Node | None) -> Node:
    return node or _LOST


def _effective(weights: Sequence[float]) -> float:
    """The effective number of particles: (sum w)^2 / sum w^2."""
    squares = math.fsum(weight * weight for weight in weights)
    return math.fsum(weights) ** 2 / squares if squares else 0.0


def _resampled(swarm: Sequence[_Particle]) -> list[_Particle]:
    """As many particles, each about as often as its weight says, by one uniform for all."""
    alive = [particle for particle in swarm if particle.weight]
    upper = list(accumulate(particle.weight for particle in alive))
    uniform = Random(key_of("resample", [[p.node.key, p.copy] for p in swarm])).random()
    copies: Counter[int] = Counter()
    for number in range(len(swarm)):
        place = bisect_right(upper, (number + uniform) / len(swarm) * upper[-1])
        copies[min(place, len(alive) - 1)] += 1
    return [
        _Particle(alive[place].node, 1.0, copy)
        for place, count in copies.items()
        for copy in range(count)
    ]
