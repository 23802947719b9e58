"""Step scores of a program to one number."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from funprm.errors import ConfigError, DataError, nearest

Aggregator = Callable[[Sequence[float]], float]
"""Step scores in [0, 1] of one program (at least one) to one number; greater is better.

Numbers are comparable between programs under the same aggregator only.
"""

SATURATION = 1e-6
"""Scores are clipped this far away from 0 and 1 before log-odds are taken, so that one saturated
step (a float32 sigmoid reaches exactly 1) cannot outweigh all others."""


def mean(scores: Sequence[float]) -> float:
    """The mean step score, in [0, 1] (arXiv 2601.22249)."""
    return math.fsum(_checked(scores)) / len(scores)


def last(scores: Sequence[float]) -> float:
    """The last step's score, in [0, 1]: that of the complete program."""
    return _checked(scores)[-1]


def minimum(scores: Sequence[float]) -> float:
    """The smallest step score, in [0, 1]: a program is as good as its worst function."""
    return min(_checked(scores))


def product(scores: Sequence[float]) -> float:
    """The logarithm of the product of the step scores, in [-inf, 0].

    Left on the log scale, where a thousand small factors do not underflow and order is the same.
    """
    return math.fsum(math.log(p) if p > 0.0 else -math.inf for p in _checked(scores))


def log_odds(scores: Sequence[float]) -> float:
    """The sum of log(p / (1 - p)), with p clipped to [SATURATION, 1 - SATURATION]."""
    clipped = (min(max(p, SATURATION), 1.0 - SATURATION) for p in _checked(scores))
    return math.fsum(math.log(p) - math.log1p(-p) for p in clipped)


AGGREGATORS: Mapping[str, Aggregator] = MappingProxyType(
    {"mean": mean, "last": last, "min": minimum, "product": product, "log_odds": log_odds}
)
"""All aggregators by the name that settings use."""


def aggregator(name: str) -> Aggregator:
    """The aggregator of that name.

    Raises:
        ConfigError: there is none; the message names the nearest.

    >>> aggregator("min")([0.9, 0.2])
    0.2
    """
    if name in AGGREGATORS:
        return AGGREGATORS[name]
    raise ConfigError(f"unknown aggregator {name!r}: {nearest(name, AGGREGATORS)}")


def _checked(scores: Sequence[float]) -> Sequence[float]:
    if not scores:
        raise DataError("no step scores to aggregate: expected one score per step, at least one")
    for p in scores:
        if not 0.0 <= p <= 1.0:
            raise DataError(f"step score {p} is not in [0, 1]: pass probabilities, not logits")
    return scores
