"""Monte-Carlo rewards of prefixes.

A prefix's evidence is k passing completions out of n judged ones. Sampling noise of k/n has mean
zero; what training needs is an estimate that stays inside (0, 1) and how far to trust it.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from funprm.errors import DataError


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


def _check_counts(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise DataError(f"{k} of {n} completions passed: expected 0 <= passed <= judged")
