"""The reference: N programs, each written to its end."""

from dataclasses import dataclass
from typing import ClassVar

from funprm.records import Problem
from funprm.search.base import Search
from funprm.search.courses import Course, complete
from funprm.search.parts import fresh


@dataclass(frozen=True)
class BestOfN(Search):
    """Writes N programs; the same that a run samples with the same seed."""

    needs_scores: ClassVar[bool] = False

    def grow(self, problem: Problem) -> Course:
        """All programs at once."""
        return complete((yield [fresh(problem, index) for index in range(self.n)]))
