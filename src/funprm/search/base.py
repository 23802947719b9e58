"""What all searches have: settings, the value of a beginning, and a way to run."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from typing import ClassVar

from funprm.errors import ConfigError
from funprm.evaluation.aggregation import aggregator
from funprm.interfaces import Policy, Scorer
from funprm.records import Json, Problem
from funprm.search.courses import Asking, Course, together
from funprm.search.grower import Budget, Found, Grower
from funprm.search.records import Node


@dataclass(frozen=True)
class Search(ABC):
    """How programs are looked for; the settings are the constructor's arguments.

    Raises:
        ConfigError: a setting is out of range.
    """

    needs_scores: ClassVar[bool] = True
    """False: a reward model changes nothing."""
    uses_tests: ClassVar[bool] = False
    """True: public tests, where a problem has some, are run on complete programs."""

    _: KW_ONLY
    n: int = 8
    """Complete programs that are aimed at, per problem."""
    value: str = "last"
    """How step scores become the value of a beginning, as in `select.aggregator`; `last`: the
    latest step's score, which estimates the probability that what follows is right."""

    def __post_init__(self) -> None:
        self.require("n", self.n, "at least 1", self.n >= 1)
        aggregator(self.value)

    def require(self, name: str, value: Json, expected: str, valid: bool) -> None:
        """Refuse a setting that is out of range."""
        if not valid:
            raise ConfigError(f"search.{name} is {value!r}: expected {expected}")

    def identity(self) -> Mapping[str, Json]:
        """What determines the course: its name and settings."""
        return {"search": type(self).__name__, **asdict(self)}

    def worth(self, node: Node) -> float:
        """The value of a node; 1 where nothing is known of it, so that it goes on."""
        return aggregator(self.value)(node.scores) if node.scores else 1.0

    @abstractmethod
    def grow(self, problem: Problem) -> Course:
        """The course of one problem."""

    def course(self, problems: Sequence[Problem]) -> Asking[list[list[Node]]]:
        """The course of several problems, which go on side by side.

        Returns:
            Complete programs, per problem.
        """
        return together([self.grow(problem) for problem in problems])

    def run(
        self,
        problem: Problem,
        policy: Policy,
        scorer: Scorer | None = None,
        budget: Budget | None = None,
        *,
        seed: int = 0,
    ) -> Found:
        """What is found for one problem, in memory; `Grower` has more ways, and keeps files.

        Raises:
            ConfigError: the search needs a reward model, or another prompt.
            PolicyError: some parts could not be had.
        """
        grower = Grower(policy, scorer, seed=seed, budget=budget or Budget())
        return grower.grow(self, [problem])[0]
