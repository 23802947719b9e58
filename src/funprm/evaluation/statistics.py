"""pass@k, intervals over problems, paired tests.

The unit of resampling is the problem: candidates of one problem are not independent.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from funprm.errors import DataError

Floats = NDArray[np.float64]

FEW = 10
"""Problems below which a bootstrap sees too little of them; exact bounds are given instead."""

_CELLS = 4_000_000
"""Problems times resamples handled at once: bounds memory to some 50 MB."""


class Interval(NamedTuple):
    """A mean over problems with its confidence bounds."""

    estimate: float
    low: float
    high: float


class McNemar(NamedTuple):
    """An exact paired test of two selectors on the same problems."""

    p: float
    """Two-sided p-value in (0, 1]."""
    only_first: int
    """Problems that only the first solves."""
    only_second: int
    """Problems that only the second solves."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased estimate of P(at least one of k samples passes), in [0, 1].

    1 - C(n-c, k) / C(n, k), as the product 1 - prod_{i=n-c+1..n} (1 - k/i), which neither
    overflows nor cancels (arXiv 2107.03374, section 2.1).

    Args:
        n: samples that were judged.
        c: samples that passed.
        k: samples that may be tried, 1 <= k <= n.

    Raises:
        DataError: unless 0 <= c <= n and 1 <= k <= n.

    >>> round(pass_at_k(n=5, c=2, k=1), 12)
    0.4
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise DataError(f"pass@{k} of {c} passing among {n}: expected 0 <= c <= n and 1 <= k <= n")
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def resampled_means(values: ArrayLike, *, resamples: int = 10_000, seed: int = 0) -> Floats:
    """Means of bootstrap samples of the problems.

    All columns share the same samples, so differences between columns are paired.

    Args:
        values: [problems] or [problems, columns], finite; for instance 0 and 1 per selector.
        resamples: number of bootstrap samples.
        seed: of the resampling; the same seed and shape give the same samples.

    Returns:
        [resamples, columns].

    Raises:
        DataError: no problems, or a value that is not finite.
    """
    table = _table(values)
    problems = len(table)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, table.shape[1]))
    step = max(1, _CELLS // problems)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, problems, size=(rows, problems), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * problems
        counts = np.bincount(drawn.ravel(), minlength=rows * problems).reshape(rows, problems)
        means[start : start + rows] = counts.astype(np.float64) @ table
    return means / problems


def bootstrap(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> list[Interval]:
    """A confidence interval of each column's mean over problems.

    - `FEW` problems or more that differ: bias-corrected and accelerated (BCa; Efron 1987), more
      accurate than percentiles for proportions near 0 and 1.
    - All with one value c, where resampling sees no spread: c moved by the share
      1 - (alpha/2)^(1/n) of the way to either end of the range. With a mean further off, n
      problems would show another value with probability 1 - alpha/2. For 0 and 1 this is the
      bound of Clopper and Pearson.
    - Fewer than `FEW`: Clopper and Pearson's of the number solved, shares rounded outwards.

    Args:
        values: [problems] or [problems, columns], in [0, 1].
        level: coverage in (0, 1).
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Raises:
        DataError: no problems, or a value that is not finite.
    """
    table = _table(values)
    means = resampled_means(table, resamples=resamples, seed=seed)
    return [_interval(column, means[:, j], level) for j, column in enumerate(table.T)]


def paired_bootstrap(
    values: ArrayLike,
    baseline: int,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Interval]:
    """A confidence interval of each column's difference to the baseline column.

    Differences are taken problem by problem; their intervals are as in `bootstrap`, on the range
    from -1 to 1. The baseline's own row is 0.

    Args:
        values: [problems, columns], in [0, 1].
        baseline: index of the column to subtract.
        level: coverage in (0, 1).
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Raises:
        DataError: no problems, or a value that is not finite.
    """
    table = _table(values)
    differences = table - table[:, [baseline]]
    means = resampled_means(differences, resamples=resamples, seed=seed)
    return [
        Interval(0.0, 0.0, 0.0)
        if j == baseline
        else _interval(column, means[:, j], level, least=-1)
        for j, column in enumerate(differences.T)
    ]


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """McNemar's exact test: does one solve more of the same problems than the other?

    Under the null hypothesis each discordant problem is a fair coin.

    Args:
        first: solved or not, per problem.
        second: the same problems in the same order.

    Raises:
        DataError: different numbers of problems.

    >>> mcnemar([True] * 5 + [False], [False] * 6)
    McNemar(p=0.0625, only_first=5, only_second=0)
    """
    if len(first) != len(second):
        raise DataError(f"paired test of {len(first)} and {len(second)} problems: give the same")
    a = sum(1 for x, y in zip(first, second, strict=True) if x and not y)
    b = sum(1 for x, y in zip(first, second, strict=True) if y and not x)
    tail = sum(math.comb(a + b, i) for i in range(min(a, b) + 1))
    return McNemar(min(1.0, 2 * tail / 2 ** (a + b)), a, b)


def student_quantile(level: float, degrees: int) -> float:
    """The t with P(abs(T) <= t) = level, of Student's law (Abramowitz and Stegun, 26.7.3-4).

    Args:
        level: in (0, 1).
        degrees: of freedom, at least 1.

    >>> round(student_quantile(0.95, 2), 3), round(student_quantile(0.95, 9), 3)
    (4.303, 2.262)
    """
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        angle = (low + high) / 2
        low, high = (angle, high) if _student(angle, degrees) < level else (low, angle)
    return math.sqrt(degrees) * math.tan(low)


def _student(angle: float, degrees: int) -> float:
    """P(abs(T) <= sqrt(degrees) tan(angle))."""
    odd, square = degrees % 2, math.cos(angle) ** 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for i in range(2 + odd, degrees + 1, 2):
        total += term
        term *= square * (i - 1) / i
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def _interval(column: Floats, means: Floats, level: float, *, least: float = 0.0) -> Interval:
    """The interval of a column of values from `least` to 1."""
    n, estimate = len(column), float(column.mean())
    least, most = min(least, float(column.min())), max(1.0, float(column.max()))
    tail = (1.0 - level) / 2.0
    if np.ptp(column) < 1e-12:
        reach = 1.0 - tail ** (1.0 / n)
        low, high = estimate - reach * (estimate - least), estimate + reach * (most - estimate)
        return Interval(estimate, low, high)
    if n >= FEW:
        return _bca(column, means, level)
    solved = float((column - least).sum()) / (most - least)
    low, high = _clopper_pearson(math.floor(solved), math.ceil(solved), n, tail)
    return Interval(estimate, least + low * (most - least), least + high * (most - least))


def _clopper_pearson(fewest: int, most: int, n: int, tail: float) -> tuple[float, float]:
    """Bounds of a share of which between `fewest` and `most` of n were seen."""

    def at_least(k: int, share: float) -> float:
        return math.fsum(
            math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k, n + 1)
        )

    def smallest(k: int) -> float:
        """The share with which k or more are seen in `tail` of all cases; 0 for k = 0."""
        low, high = 0.0, 1.0 if k else 0.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if at_least(k, middle) < tail else (low, middle)
        return low

    return smallest(fewest), 1.0 - smallest(n - most)


def _bca(column: Floats, means: Floats, level: float) -> Interval:
    """BCa bounds of a mean; the jackknife gives the acceleration in closed form."""
    estimate = float(column.mean())
    deviation = column - estimate
    spread = float(np.square(deviation).sum())
    normal = NormalDist()
    acceleration = float((deviation**3).sum()) / (6.0 * spread**1.5)
    # Means of 0/1 values are few and tie with the estimate: half of the ties lie below.
    near = 1e-12 * max(1.0, abs(estimate))
    below = float(np.mean(means < estimate - near)) + float(np.mean(means <= estimate + near))
    keep = 1.0 / (2.0 * len(means))
    shift = normal.inv_cdf(min(max(below / 2.0, keep), 1.0 - keep))

    def adjusted(tail: float) -> float:
        z = shift + normal.inv_cdf(tail)
        return normal.cdf(shift + z / (1.0 - acceleration * z))

    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [adjusted(tail), adjusted(1.0 - tail)])
    return Interval(estimate, float(low), float(high))


def _table(values: ArrayLike) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or not table.size:
        raise DataError(f"values of shape {table.shape}: expected [problems, columns], not empty")
    if not np.isfinite(table).all():
        raise DataError("values per problem are not finite: leave out problems not judged")
    return table
