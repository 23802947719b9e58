"""Problems to train, meta, validation and test: by problem, never by program.

A problem's place depends on its id and the seed alone, not on the other problems; so it stays
where it is when problems are added, and a larger fraction only adds problems to it.
"""

from dataclasses import dataclass
from typing import get_args

from funprm.errors import ConfigError, DataError, nearest
from funprm.records import Split, key_of


@dataclass(frozen=True, kw_only=True)
class Fractions:
    """Shares of the problems, in [0, 1]; what they leave goes to `rest`."""

    train: float = 0.0
    meta: float = 0.0
    validation: float = 0.0
    rest: Split = "test"
    seed: int = 0

    def __post_init__(self) -> None:
        shares = (self.train, self.meta, self.validation)
        if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ConfigError(
                f"fractions of problems are train={self.train}, meta={self.meta}, "
                f"validation={self.validation}: expected numbers from 0 to 1 that sum to at most 1"
            )
        check_split(self.rest)


def check_split(split: str | Fractions) -> None:
    """Check the name of a split.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(split, Fractions) and split not in get_args(Split):
        raise ConfigError(f"unknown split {split!r}: {nearest(split, get_args(Split))}")


def assign(problem_id: str, split: Split | Fractions) -> Split:
    """The split of a problem.

    >>> assign("p1", "train")
    'train'
    >>> assign("p1", Fractions(train=0.5, meta=0.5)) in ("train", "meta")
    True
    """
    if not isinstance(split, Fractions):
        return split
    place = int(key_of("split", split.seed, problem_id), 16) / 16**32
    names: tuple[Split, ...] = ("train", "meta", "validation")
    for name, share in zip(names, (split.train, split.meta, split.validation), strict=True):
        if place < share:
            return name
        place -= share
    return split.rest


def require_some(count: int, wanted: str) -> None:
    """Refuse a selection of problems that is empty.

    Raises:
        DataError: `count` is 0; `wanted` says what was selected from where.
    """
    if not count:
        raise DataError(f"no problems {wanted}: widen the selection or check the path")
