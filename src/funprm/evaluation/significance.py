"""What a set of problems can show: power of the paired test, and several comparisons at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from funprm.errors import DataError

LEVEL = 0.05
"""Of two-sided tests."""
POWER = 0.8
"""Chance of seeing a difference that is there, by convention."""
_FAR = 9.0
"""Standard deviations beyond which a count of discordant problems is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """The smallest difference between two selectors that a set of problems can show."""

    problems: int
    discordant: float
    """Share of the problems that one of the two solves and the other does not."""
    difference: float | None
    """Share of the problems, found with `POWER` at `LEVEL`; None: not even the largest is."""


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for several comparisons (Holm 1979): valid whatever their dependence.

    The i-th smallest of m is multiplied by m - i + 1, and none is below a smaller one's. Where all
    that stay below 0.05 are called differences, the chance of a single false one is at most 0.05.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        least = max(least, min(1.0, (len(order) - place) * p_values[i]))
        adjusted[i] = least
    return adjusted


def mcnemar_power(
    problems: int, discordant: float, difference: float, *, level: float = LEVEL
) -> float:
    """The chance that McNemar's exact test rejects, exact: no approximation by a normal law.

    Each problem is won with probability (discordant + difference) / 2 and lost with
    (discordant - difference) / 2, independently of the others.

    Args:
        problems: their number.
        discordant: probability that one of the two solves a problem and the other does not.
        difference: of the two accuracies, in [-discordant, discordant].
        level: of the two-sided test, which rejects where p < level.

    Raises:
        DataError: no problems, or probabilities that cannot be.
    """
    if problems < 1 or not abs(difference) <= discordant <= 1:
        raise DataError(
            f"power for {problems} problems, {discordant} discordant and a difference of "
            f"{difference}: expected at least one problem and |difference| <= discordant <= 1"
        )
    if not discordant:
        return 0.0
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, problems + 1)))])
    won = (discordant + difference) / (2 * discordant)
    total = 0.0
    weights = _binomial(factorials, problems, discordant)
    for count in _likely(problems, discordant):
        fair = _binomial(factorials[: count + 1], count, 0.5)
        rejected = 2 * np.cumsum(fair) < level
        lost = int(rejected.sum())  # so many outcomes at either end are rejected
        chances = _binomial(factorials[: count + 1], count, won)
        total += weights[count] * (chances[:lost].sum() + chances[count + 1 - lost :].sum())
    return float(min(1.0, total))


def _likely(problems: int, share: float) -> Iterator[int]:
    middle, reach = problems * share, _FAR * (problems * share * (1 - share)) ** 0.5 + _FAR
    yield from range(max(0, int(middle - reach)), min(problems, int(middle + reach)) + 1)


def _binomial(factorials: NDArray[np.float64], count: int, share: float) -> NDArray[np.float64]:
    """Probabilities [count + 1] of the binomial law, from logarithms of factorials."""
    k = np.arange(count + 1)
    ways = factorials[count] - factorials[k] - factorials[count - k]
    with np.errstate(divide="ignore", invalid="ignore"):
        chances = np.where(k > 0, k * np.log(share), 0.0)
        chances = chances + np.where(k < count, (count - k) * np.log1p(-share), 0.0)
    law: NDArray[np.float64] = np.exp(ways + chances)
    return law


def resolution(
    problems: int, discordant: float, *, power: float = POWER, level: float = LEVEL
) -> Resolution:
    """The smallest difference that a paired test over so many problems finds.

    A difference above `discordant` needs as many discordant problems: it is then all of them.

    Args:
        problems: their number.
        discordant: share of them on which two selectors differ, as observed.
        power: the chance with which it must be found.
        level: of the test.

    Raises:
        DataError: no problems.
    """

    def found(difference: float) -> bool:
        share = max(discordant, difference)
        return mcnemar_power(problems, share, difference, level=level) >= power

    low, high = 0.0, 1.0
    if not found(high):
        return Resolution(problems=problems, discordant=discordant, difference=None)
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return Resolution(problems=problems, discordant=discordant, difference=high)
