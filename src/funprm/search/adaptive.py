"""Adaptive N: a budget for a whole set of problems, spent where another program helps most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from funprm.records import Problem
from funprm.search.base import Search
from funprm.search.courses import Asking, Course, complete
from funprm.search.parts import fresh
from funprm.search.records import Node


@dataclass(frozen=True)
class Adaptive(Search):
    """Gives every problem a few programs, and the rest to those that gain most by one more.

    Where v is the value of a problem's programs, one more is worth about mean(v) (1 - max(v)):
    the chance that it is right times the chance that none is yet. So what is certain gets no
    more, and neither does what seems hopeless. N is the mean over the problems.

    Raises:
        ConfigError: a setting is out of range.
    """

    uses_tests: ClassVar[bool] = True

    first: int = 2
    """Programs that every problem gets."""
    most: int = 64
    """Programs that no problem gets more of."""
    share: float = 0.25
    """Part of the problems that get one more at once."""

    def __post_init__(self) -> None:
        Search.__post_init__(self)
        self.require("first", self.first, f"1 to n = {self.n}", 1 <= self.first <= self.n)
        self.require("most", self.most, f"at least n = {self.n}", self.most >= self.n)
        self.require("share", self.share, "above 0 and at most 1", 0 < self.share <= 1)

    def grow(self, problem: Problem) -> Course:
        """The course of a problem that has the whole budget."""
        (found,) = yield from self.course([problem])
        return found

    def course(self, problems: Sequence[Problem]) -> Asking[list[list[Node]]]:
        """All problems together, whatever is left after the first programs going where it helps."""
        pools: list[list[Node]] = [[] for _ in problems]
        asked = [0] * len(problems)
        wanted = [i for i in range(len(problems)) for _ in range(self.first)]
        left = self.n * len(problems)
        while wanted := wanted[:left]:
            parts = []
            for i in wanted:
                parts.append(fresh(problems[i], asked[i]))
                asked[i] += 1
            nodes = yield parts
            left -= len(wanted)
            for i, node in zip(wanted, nodes, strict=True):
                pools[i] += complete([node])
            wanted = self._neediest(pools, asked)
        return pools

    def _neediest(self, pools: Sequence[Sequence[Node]], asked: Sequence[int]) -> list[int]:
        """The problems that gain most by one more program, the most first."""
        values = [[self._chance(node) for node in pool] for pool in pools]
        everything = [value for row in values for value in row]
        usual = sum(everything) / len(everything) if everything else 0.5
        gains = {
            i: (sum(row) + usual) / (len(row) + 1) * (1 - max(row, default=0.0))
            for i, row in enumerate(values)
            if asked[i] < self.most
        }
        ranked = sorted((i for i in gains if gains[i] > 0), key=gains.__getitem__, reverse=True)
        return ranked[: max(1, int(self.share * len(pools)))]

    def _chance(self, node: Node) -> float:
        """How likely a program is right, as far as is known."""
        return 0.0 if node.passed is False else self.worth(node)
