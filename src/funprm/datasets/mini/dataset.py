"""The mini benchmark as a data set."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import get_args

from funprm.datasets.mini.pipelines import draw
from funprm.datasets.mini.problems import build
from funprm.datasets.mini.streams import Stream
from funprm.errors import ConfigError
from funprm.records import Json, Problem, Split

VERSION = 1
"""Raised when the same arguments give other problems."""
LARGEST = 20_000
"""Most problems of one split."""


@dataclass(frozen=True)
class MiniDataset:
    """Generated problems: chains of list or text operations, ended by a reducer.

    The same arguments give the same problems, for ever and on every platform, and a smaller
    split is the beginning of a larger one. No problem occurs in two splits, whatever the seeds;
    test problems are compositions of operations that occur neither in another split nor in the
    corpus of the shipped language model.

    Args:
        train: number of problems for rewards of partial programs.
        meta: number of problems for clean outcomes.
        validation: number of problems for choosing checkpoint and mode.
        test: number of problems for the evaluation.
        seed: which problems.

    Raises:
        ConfigError: a number of problems is negative or above 20,000.
    """

    train: int = 400
    meta: int = 100
    validation: int = 100
    test: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for split in get_args(Split):
            size = getattr(self, split)
            if not 0 <= size <= LARGEST:
                raise ConfigError(
                    f"mini: {split} = {size}, expected 0 to {LARGEST}; give fewer problems"
                )

    def identity(self) -> Mapping[str, Json]:
        """The arguments, and the version of the generator."""
        return {"data set": "mini", "version": VERSION, **asdict(self)}

    def load(self) -> Iterator[Problem]:
        """All problems, split after split, in a fixed order."""
        for split in get_args(Split):
            yield from self._split(split, getattr(self, split))

    def _split(self, split: Split, size: int) -> Iterator[Problem]:
        seen: set[str] = set()
        attempts = count()
        while len(seen) < size:
            stream = Stream(f"mini {self.seed} {split} {next(attempts)}")
            pipeline = draw(stream)
            if pipeline.home != split or pipeline.identity in seen:
                continue
            problem_id = f"mini-{self.seed}-{split}-{len(seen)}"
            problem = build(pipeline, stream, split=split, problem_id=problem_id)
            if problem is not None:
                seen.add(pipeline.identity)
                yield problem
