import csv
import doctest
import gzip
import math
import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from funprm.errors import DataError
from funprm.evaluation import statistics
from funprm.evaluation.statistics import (
    Interval,
    bootstrap,
    mcnemar,
    paired_bootstrap,
    pass_at_k,
    resampled_means,
    student_quantile,
)

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=100)


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(statistics).failed == 0


@REPEATABLE
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.data())
def test_pass_at_k_is_the_share_of_lucky_subsets(nc: tuple[int, int], data: st.DataObject) -> None:
    n, c = nc
    k = data.draw(st.integers(1, n))
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert pass_at_k(n, c, k) == pytest.approx(float(exact), abs=1e-12)


def test_pass_at_k_of_many_samples_does_not_overflow() -> None:
    assert pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, 1, 4), (3, 1, 0), (0, 0, 1)])
def test_impossible_pass_at_k_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(DataError, match="1 <= k <= n"):
        pass_at_k(n, c, k)


def test_a_published_gain_of_five_problems_is_not_significant() -> None:
    base = [True] * 101 + [False] * 30
    ours = [True] * 106 + [False] * 25
    test = mcnemar(ours, base)
    assert (test.p, test.only_first, test.only_second) == (0.0625, 5, 0)


@REPEATABLE
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_two_sided_binomial_test(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    got = mcnemar(first, second)
    discordant = got.only_first + got.only_second
    weights = [math.comb(discordant, i) for i in range(discordant + 1)]
    as_extreme = sum(w for w in weights if w <= weights[got.only_first])
    assert got.p == pytest.approx(as_extreme / 2**discordant)
    assert mcnemar(second, first).p == got.p


def test_mcnemar_needs_the_same_problems() -> None:
    with pytest.raises(DataError, match="1 and 2 problems"):
        mcnemar([True], [True, False])


def test_resamples_repeat_and_are_shared_by_columns() -> None:
    values = np.random.default_rng(1).random((50, 2))
    means = resampled_means(values, resamples=300, seed=3)
    assert means.shape == (300, 2)
    assert np.array_equal(means, resampled_means(values, resamples=300, seed=3))
    assert np.allclose(means[:, 0], resampled_means(values[:, 0], resamples=300, seed=3)[:, 0])
    assert not np.array_equal(means, resampled_means(values, resamples=300, seed=4))


def test_chunks_give_every_resample_its_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_CELLS", 100)
    means = resampled_means(np.ones(30), resamples=10)
    assert np.array_equal(means, np.ones((10, 1)))


def test_the_interval_is_that_of_the_normal_law_where_it_holds() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, size=4000)
    (got,) = bootstrap(values, resamples=4000)
    half = 1.96 * values.std() / math.sqrt(4000)
    assert got.estimate == pytest.approx(values.mean())
    assert (got.low, got.high) == pytest.approx(
        (got.estimate - half, got.estimate + half), abs=8e-3
    )


def test_intervals_of_a_proportion_cover_it() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for seed in range(200):
        (got,) = bootstrap((rng.random(60) < 0.85).astype(float), resamples=600, seed=seed)
        hits += got.low <= 0.85 <= got.high
    assert 0.90 <= hits / 200 <= 0.99


def test_solving_everything_is_not_certainty() -> None:
    high, low, constant = bootstrap(np.tile([1.0, 0.0, 0.5], (31, 1)), resamples=50)
    reach = 1 - 0.025 ** (1 / 31)
    assert high == pytest.approx((1.0, 1 - reach, 1.0))
    assert low == pytest.approx((0.0, 0.0, reach))
    assert constant == pytest.approx((0.5, 0.5 - reach / 2, 0.5 + reach / 2))
    same = paired_bootstrap(np.tile([1.0, 1.0, 0.0], (31, 1)), 0, resamples=50)
    assert same[0] == Interval(0.0, 0.0, 0.0), "the baseline's own row"
    assert same[1] == pytest.approx((0.0, -reach, reach))
    assert same[2] == pytest.approx((-1.0, -1.0, -1.0 + 2 * reach))


def test_two_problems_say_little() -> None:
    """Of one of two solved, and of two halves, and of a difference."""
    for values, low, high in (
        ([1.0, 0.0], 0.012579, 0.987421),
        ([0.4, 0.6], 0.012579, 0.987421),
        ([0.5, 0.5], 0.079057, 0.920943),
    ):
        assert bootstrap(values, resamples=50)[0] == pytest.approx((0.5, low, high), abs=1e-6)
    _, gain = paired_bootstrap([[0.0, 1.0], [0.0, 0.0]], 0, resamples=50)
    assert (gain.estimate, gain.low < -0.1, gain.high > 0.9) == (0.5, True, True)


@REPEATABLE
@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_few_problems_have_the_exact_binomial_interval(counts: tuple[int, int]) -> None:
    """At either bound the number seen, or one further off, has a probability of 2.5 per cent."""
    n, k = counts
    (got,) = bootstrap([1.0] * k + [0.0] * (n - k), resamples=20)

    def chance(share: float, least: int, most: int) -> float:
        terms = range(least, most + 1)
        return sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in terms)

    assert got.low == 0 if k == 0 else chance(got.low, k, n) == pytest.approx(0.025)
    assert got.high == 1 if k == n else chance(got.high, 0, k) == pytest.approx(0.025)


@pytest.mark.parametrize("n", [2, 4, 9, 10, 25])
def test_intervals_of_shares_cover_their_mean(n: int) -> None:
    """Draws over which a bootstrap alone covers .5 to .9: few problems, few different values."""
    rng, trials = np.random.default_rng(n), 300
    draws: dict[float, Callable[[], NDArray[np.float64]]] = {
        0.5: lambda: rng.beta(0.5, 0.5, n),
        0.45: lambda: np.where(rng.random(n) < 0.1, 0.0, 0.5),
        0.9: lambda: (rng.random(n) < 0.9).astype(float),
    }
    for mean, draw in draws.items():
        found = [bootstrap(draw(), resamples=200, seed=i)[0] for i in range(trials)]
        covered = sum(i.low <= mean <= i.high for i in found) / trials
        assert covered > 0.9, (mean, covered)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30])
def test_student_quantiles_hold_95_per_cent_of_the_law(degrees: int) -> None:
    """By the density's own integral: Simpson's rule over the angle, where it is smooth."""
    reach = math.atan(student_quantile(0.95, degrees) / math.sqrt(degrees))
    angles = np.linspace(0, math.pi / 2, 20_001)
    density = np.maximum(np.cos(angles), 0.0) ** (degrees - 1)
    inside = np.linspace(0, reach, 20_001)
    whole, part = (
        float(np.trapezoid(y, x))
        for y, x in ((density, angles), (np.cos(inside) ** (degrees - 1), inside))
    )
    assert part / whole == pytest.approx(0.95, abs=1e-6)


@REPEATABLE
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 5))
def test_intervals_are_ordered_and_inside(solved: list[bool], seed: int) -> None:
    (got,) = bootstrap([float(s) for s in solved], resamples=100, seed=seed)
    assert 0.0 <= got.low <= got.high <= 1.0


def test_a_paired_difference_is_tighter_than_an_unpaired_one() -> None:
    rng = np.random.default_rng(5)
    base = (rng.random(300) < 0.5).astype(float)
    ours = np.where(rng.random(300) < 0.06, 1.0, base)
    zero, gain = paired_bootstrap(np.stack([base, ours], 1), 0, resamples=2000)
    assert zero == Interval(0.0, 0.0, 0.0)
    assert gain.estimate == pytest.approx(ours.mean() - base.mean())
    assert 0.0 < gain.low < gain.estimate < gain.high
    (alone,) = bootstrap(ours, resamples=2000)
    assert gain.high - gain.low < (alone.high - alone.low) / 1.5


@pytest.mark.parametrize("bad", [[], [[]], [math.nan, 1.0], [[[1.0]]]])
def test_values_that_cannot_be_resampled_are_refused(bad: list[float]) -> None:
    with pytest.raises(DataError):
        bootstrap(bad)


@pytest.mark.slow
def test_a_large_table_takes_about_a_second() -> None:
    values = (np.random.default_rng(0).random((2000, 10)) < 0.5).astype(float)
    start = time.process_time()
    bootstrap(values)
    assert time.process_time() - start < 20, "seconds of processor time; 1 to 2 are usual"


def shared() -> Path:
    found = os.environ.get("FUNPRM_SHARED")
    return Path(found) if found else Path(__file__).parents[3] / "shared"


def test_the_published_leaderboard_is_reproduced() -> None:
    path = shared() / "data" / "lcb_leaderboard_2025-04-22.csv.gz"
    if not path.exists():
        pytest.skip(f"needs the published leaderboard at {path} (set FUNPRM_SHARED)")
    with gzip.open(path, "rt", newline="") as file:
        rows = [
            r
            for r in csv.DictReader(file)
            if r["contest_date"] >= "2025-02-01" and r["model"] == "O4-Mini (High)"
        ]
    by: dict[str, list[float]] = {"all": []}
    for row in rows:
        for part in (row["difficulty"], "all"):
            by.setdefault(part, []).append(float(row["pass@1"]) / 100)
    means = {part: bootstrap(values, resamples=500)[0] for part, values in by.items()}
    got = {part: round(100 * i.estimate, 1) for part, i in means.items()}
    assert {part: len(values) for part, values in by.items()} == {
        "easy": 31, "medium": 39, "hard": 61, "all": 131,
    }  # fmt: skip
    assert got == {"easy": 100.0, "medium": 84.6, "hard": 50.8, "all": 72.5}
    assert means["all"].low < 0.66
    assert means["all"].high > 0.78
