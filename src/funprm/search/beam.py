"""Beam search over functions: the best beginnings go on, each in several ways."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from funprm.records import Problem
from funprm.search.base import Search
from funprm.search.courses import Course, complete, open_ones, shares, together
from funprm.search.parts import Part, following, fresh
from funprm.search.records import Node


@dataclass(frozen=True)
class Beam(Search):
    """Keeps the best beginnings after every function.

    A program that ends keeps its place, so that there are at most N at the end. With several
    trees the best of each goes on, whatever the others are worth: diverse verifier tree search.

    Raises:
        ConfigError: a setting is out of range.
    """

    expand: int = 4
    """Ways in which a beginning that was kept goes on."""
    trees: int = 1
    """Beams side by side, which share the N programs and do not compete."""

    def __post_init__(self) -> None:
        Search.__post_init__(self)
        self.require("expand", self.expand, "at least 1", self.expand >= 1)
        self.require("trees", self.trees, f"1 to n = {self.n}", 1 <= self.trees <= self.n)

    def grow(self, problem: Problem) -> Course:
        """All trees, function by function."""
        sizes = list(shares(self.n, self.trees))
        starts = [sum(sizes[:number]) for number in range(self.trees)]
        found = yield from together(
            [self._tree(problem, *tree) for tree in zip(starts, sizes, strict=True)]
        )
        return [node for nodes in found for node in nodes]

    def _tree(self, problem: Problem, start: int, size: int) -> Course:
        found: list[Node] = []
        parts = [fresh(problem, start + index, steps=1) for index in range(size)]
        while parts:
            nodes = yield parts
            found += complete(nodes)
            parts = list(self._next(problem, open_ones(nodes), size - len(found)))
        return found

    def _next(self, problem: Problem, nodes: Sequence[Node], places: int) -> Iterator[Part]:
        """The parts that fill the free places with what follows the best nodes."""
        count = min(len(nodes), -(-places // self.expand))
        best = sorted(nodes, key=self.worth, reverse=True)[:count]
        for node, ways in zip(best, shares(places, count), strict=True):
            for index in range(ways):
                yield following(problem, node, index)
