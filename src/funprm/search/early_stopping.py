"""Early stopping: N programs side by side, of which the hopeless are not written to their end."""

from dataclasses import dataclass

from funprm.records import Problem
from funprm.search.base import Search
from funprm.search.courses import Course, complete, open_ones
from funprm.search.parts import following, fresh


@dataclass(frozen=True)
class EarlyStopping(Search):
    """Abandons a program when a function brings its value below a threshold.

    Those that are not abandoned are the programs of best-of-N, where the policy goes on in its
    stream of random numbers; with the threshold 0 these are all. `thresholds.choose` finds a
    threshold on validation problems.

    Raises:
        ConfigError: a setting is out of range.
    """

    threshold: float = 0.1
    """Programs of a lower value are abandoned."""
    least: int = 1
    """So many of the best are not abandoned, whatever their value."""

    def __post_init__(self) -> None:
        Search.__post_init__(self)
        self.require("least", self.least, f"1 to n = {self.n}", 1 <= self.least <= self.n)

    def grow(self, problem: Problem) -> Course:
        """All that are left, function by function."""
        nodes = yield [fresh(problem, index, steps=1) for index in range(self.n)]
        found = complete(nodes)
        while going := open_ones(nodes):
            best = sorted(going, key=self.worth, reverse=True)
            count = sum(self.worth(node) >= self.threshold for node in best)
            kept = best[: max(count, self.least - len(found))]
            nodes = yield [following(problem, node) for node in kept]
            found += complete(nodes)
        return found
