"""Monte-Carlo rewards of prefixes, and aggregators of step scores.

A prefix's evidence is k passing completions out of n judged ones. Sampling noise of k/n has mean
zero; what training needs is an estimate that stays inside (0, 1) and how far to trust it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from funprm.errors import ConfigError, DataError, nearest

Aggregator = Callable[[Sequence[float]], float]
"""Step scores in [0, 1] of one program (at least one) to one number; greater is better.

Numbers are comparable between programs under the same aggregator only.
"""

SATURATION = 1e-6
"""Scores are clipped this far away from 0 and 1 before log-odds are taken, so that one saturated
step (a float32 sigmoid reaches exactly 1) cannot outweigh all others."""


class Tally(NamedTuple):
    """Outcomes of one prefix's completions, counted."""

    k: int
    """Completions that passed."""
    n: int
    """Completions that were judged."""
    not_judged: int


def tally(outcomes: Iterable[bool | None]) -> Tally:
    """Counts outcomes; None (not judged) is never a failure.

    >>> tally([True, False, None, True])
    Tally(k=2, n=3, not_judged=1)
    """
    judged = list(outcomes)
    unknown = judged.count(None)
    return Tally(sum(1 for o in judged if o), len(judged) - unknown, unknown)


def raw_reward(k: int, n: int) -> float | None:
    """The plain Monte-Carlo estimate k/n in [0, 1]; None where nothing was judged.

    Raises:
        DataError: unless 0 <= k <= n.

    >>> raw_reward(3, 4), raw_reward(0, 0)
    (0.75, None)
    """
    _check_counts(k, n)
    return k / n if n else None


def prior_reward(k: int, n: int) -> float:
    """The estimate r0 = (k + 1/2) / (n + 1) in (0, 1), around which a correction moves.

    It is the posterior mean under Jeffreys' prior, Beta(1/2, 1/2); without evidence it is 1/2.

    Raises:
        DataError: unless 0 <= k <= n.

    >>> prior_reward(3, 4)
    0.7
    """
    _check_counts(k, n)
    return (k + 0.5) / (n + 1)


def posterior_sd(k: int, n: int) -> float:
    """How uncertain a reward is: the posterior standard deviation under a uniform prior.

    sd^2 = (k + 1)(n - k + 1) / ((n + 2)^2 (n + 3)): the variance of Beta(k + 1, n - k + 1).
    It is positive even where all completions agree.

    Raises:
        DataError: unless 0 <= k <= n.

    >>> round(posterior_sd(0, 0) ** 2, 6) == round(1 / 12, 6)
    True
    """
    _check_counts(k, n)
    return math.sqrt((k + 1) * (n - k + 1) / (n + 3)) / (n + 2)


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


def _check_counts(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise DataError(f"{k} of {n} completions passed: expected 0 <= passed <= judged")
