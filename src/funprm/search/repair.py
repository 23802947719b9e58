"""Repair: the function that a program's value falls at most with is written again."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from funprm.records import Problem
from funprm.search.base import Search
from funprm.search.courses import Course, complete
from funprm.search.parts import Part, fresh, rewriting
from funprm.search.records import Node
from funprm.steps import find_steps


@dataclass(frozen=True)
class Repair(Search):
    """Writes N programs, and then the weakest function of each that seems wrong once more.

    A program seems wrong if it fails public tests; without tests, if its value is below
    `satisfied`. What comes of it takes its place, unless it fails where the program before
    passed, or is worth less. All programs are candidates.

    Raises:
        ConfigError: a setting is out of range.
    """

    uses_tests: ClassVar[bool] = True

    rounds: int = 1
    """How often every program may be repaired."""
    satisfied: float = 0.5
    """Programs of this value are left as they are, where there are no public tests."""

    def __post_init__(self) -> None:
        Search.__post_init__(self)
        self.require("rounds", self.rounds, "0 or more", self.rounds >= 0)

    def grow(self, problem: Problem) -> Course:
        """The programs, then what repairs make of them."""
        pool = complete((yield [fresh(problem, index) for index in range(self.n)]))
        found = list(pool)
        for number in range(self.rounds):
            seem_wrong = [i for i, node in enumerate(pool) if self._seems_wrong(node)]
            start = _mean([node.scores[0] for node in pool if node.scores])
            asked = {
                i: part for i in seem_wrong if (part := _repair(problem, pool[i], start, number))
            }
            if not asked:
                break
            nodes = yield list(asked.values())
            for i, node in zip(asked, nodes, strict=True):
                if node is not None and node.complete:
                    found.append(node)
                    pool[i] = max(pool[i], node, key=self._rank)
        return found

    def _seems_wrong(self, node: Node) -> bool:
        return self.worth(node) < self.satisfied if node.passed is None else not node.passed

    def _rank(self, node: Node) -> tuple[bool, float]:
        return bool(node.passed), self.worth(node)


def weakest(scores: Sequence[float], start: float) -> int:
    """The step that the value falls at most with.

    >>> weakest([0.5, 0.4, 0.1], start=0.6)
    2

    Args:
        scores: values of the beginnings up to the end of each step, at least one.
        start: value of an empty program.
    """
    drops = [before - after for before, after in pairwise([start, *scores])]
    return drops.index(max(drops))


def _repair(problem: Problem, node: Node, start: float, number: int) -> Part | None:
    """The weakest function of a program, below its opening line; None: it has none, or no scores.

    Where steps were merged for the reward model, all functions of one are written again.
    """
    names = find_steps(node.code, max_steps=len(node.scores))[1] if node.scores else ("",)
    if not names[0]:
        return None
    step = weakest(node.scores, start)
    counts = [name.count("+") + 1 for name in names]
    first = sum(counts[:step])
    return rewriting(problem, node, first, first + counts[step] - 1, number)


def _mean(values: Sequence[float]) -> float:
    """The mean; an empty program's value is the mean of those of first functions."""
    return sum(values) / len(values) if values else 1.0
