"""Random choices that stay the same for ever."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Stream:
    """Random choices determined by a label alone.

    Everything is derived from `random.Random(label).random()`, whose sequence Python guarantees
    between versions; the library's own `choice` and `shuffle` carry no such promise.

    >>> Stream("a").below(1000) == Stream("a").below(1000)
    True
    """

    def __init__(self, label: str) -> None:
        self._random = random.Random(label).random

    def unit(self) -> float:
        """A number in [0, 1)."""
        return self._random()

    def below(self, bound: int) -> int:
        """A number in 0 … bound - 1."""
        return int(self._random() * bound)

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.below(len(values))]

    def weighted(self, values: Sequence[T], weights: Sequence[float]) -> T:
        """One of the values, in proportion to the weights."""
        left = self._random() * sum(weights)
        for value, weight in zip(values, weights, strict=True):
            left -= weight
            if left < 0:
                return value
        return values[-1]

    def sample(self, values: Sequence[T], count: int) -> list[T]:
        """`count` different positions' values, in random order."""
        pool = list(values)
        return [pool.pop(self.below(len(pool))) for _ in range(count)]


def fraction(label: str) -> float:
    """A number in [0, 1) that depends on the label alone.

    >>> 0 <= fraction("a") < 1
    True
    """
    digest = hashlib.blake2b(label.encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48
