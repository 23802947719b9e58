import doctest
import math
from fractions import Fraction
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.errors import DataError
from funprm.evaluation import significance
from funprm.evaluation.significance import holm, mcnemar_power, resolution
from funprm.evaluation.statistics import mcnemar

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=100)


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(significance).failed == 0


def by_definition(p_values: list[float]) -> list[float]:
    """Step down: a hypothesis falls at a level if all before it do, at their shares of it."""
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    return [
        min(1.0, max((m - j) * p_values[order[j]] for j in range(order.index(i) + 1)))
        for i in range(m)
    ]


@REPEATABLE
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(by_definition(p_values))
    assert all(a >= p for a, p in zip(holm(p_values), p_values, strict=True))


def test_holm_keeps_the_chance_of_one_false_finding() -> None:
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(4000, 1))
    z = 0.7 * shared + math.sqrt(1 - 0.49) * rng.normal(size=(4000, 6))  # dependent tests
    p = np.vectorize(lambda x: math.erfc(abs(x) / math.sqrt(2)))(z)
    raw = (p < 0.05).any(axis=1).mean()
    kept = np.mean([min(holm(row)) < 0.05 for row in p.tolist()])
    assert raw > 0.12
    assert kept < 0.057


def enumerated(problems: int, won: Fraction, lost: Fraction) -> float:
    """The power, by going through every outcome of every problem."""
    chances = {1: won, -1: lost, 0: 1 - won - lost}
    total = Fraction(0)
    for outcome in product(chances, repeat=problems):
        a, b = ([o == side for o in outcome] for side in (1, -1))
        if mcnemar(a, b).p < 0.05:
            total += math.prod(chances[o] for o in outcome)
    return float(total)


@pytest.mark.parametrize(
    ("problems", "won", "lost"),
    [(7, Fraction(3, 4), Fraction(1, 8)), (9, Fraction(2, 3), Fraction(0)), (5, Fraction(1), 0)],
)
def test_power_is_that_of_all_outcomes(problems: int, won: Fraction, lost: Fraction) -> None:
    exact = enumerated(problems, won, Fraction(lost))
    found = mcnemar_power(problems, float(won + lost), float(won - lost))
    assert found == pytest.approx(exact, abs=1e-12)


def test_power_is_that_of_simulated_runs() -> None:
    rng = Random(1)
    rejected = 0
    for _ in range(4000):
        drawn = [rng.random() for _ in range(131)]
        first, second = [x < 0.11 for x in drawn], [x > 0.97 for x in drawn]
        rejected += mcnemar(first, second).p < 0.05
    assert mcnemar_power(131, 0.14, 0.08) == pytest.approx(rejected / 4000, abs=0.03)


@pytest.mark.parametrize(
    ("problems", "difference"), [(1200, 0.02), (520, 0.03), (190, 0.05)]
)  # a published rule of thumb for 6 % discordant problems
def test_resolution_agrees_with_sample_sizes_of_others(problems: int, difference: float) -> None:
    assert resolution(problems, 0.06).difference == pytest.approx(difference, rel=0.06)


def test_resolution_is_where_power_is_reached() -> None:
    found = resolution(131, 0.12).difference
    assert found is not None
    assert mcnemar_power(131, 0.12, found) == pytest.approx(0.8, abs=0.005)
    assert resolution(131, 0.0).difference == pytest.approx(
        resolution(131, 0.001).difference or 0, abs=1e-3
    )


def test_five_problems_can_show_nothing() -> None:
    assert resolution(5, 0.2).difference is None
    assert resolution(6, 0.2).difference is not None


@pytest.mark.parametrize("wrong", [(0, 0.1, 0.1), (9, 0.1, 0.2), (9, 1.1, 0.2)])
def test_impossible_questions_are_refused(wrong: tuple[int, float, float]) -> None:
    with pytest.raises(DataError, match="power for"):
        mcnemar_power(*wrong)
