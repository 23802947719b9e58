import doctest
import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm import rewards
from funprm.errors import DataError
from funprm.rewards import posterior_sd, prior_reward, raw_reward, tally

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=100)
counts = st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(rewards).failed == 0


@REPEATABLE
@given(st.lists(st.sampled_from([True, False, None])))
def test_a_completion_that_was_not_judged_is_no_failure(outcomes: list[bool | None]) -> None:
    k, n, not_judged = tally(outcomes)
    assert (k, n - k, not_judged) == tuple(outcomes.count(x) for x in (True, False, None))


@REPEATABLE
@given(counts)
def test_the_prior_reward_is_inside_and_symmetric(count: tuple[int, int]) -> None:
    k, n = count
    assert 0.0 < prior_reward(k, n) < 1.0
    assert prior_reward(k, n) + prior_reward(n - k, n) == pytest.approx(1.0)


@REPEATABLE
@given(counts)
def test_the_posterior_is_that_of_the_beta_distribution(count: tuple[int, int]) -> None:
    k, n = count
    a, b = k + 1, n - k + 1
    variance = Fraction(a * b, (a + b) ** 2 * (a + b + 1))
    assert posterior_sd(k, n) ** 2 == pytest.approx(float(variance))


def test_known_rewards() -> None:
    assert raw_reward(0, 0) is None
    assert raw_reward(12, 16) == 0.75
    assert prior_reward(16, 16) == pytest.approx(16.5 / 17)
    assert posterior_sd(8, 16) == pytest.approx(math.sqrt(81 / (18**2 * 19)))


@pytest.mark.parametrize(("k", "n"), [(-1, 2), (3, 2), (0, -1)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    for function in (raw_reward, prior_reward, posterior_sd):
        with pytest.raises(DataError, match="expected 0 <= passed <= judged"):
            function(k, n)


def test_uncertainty_falls_with_evidence() -> None:
    widths = [posterior_sd(n // 2, n) for n in (0, 2, 8, 32, 128)]
    assert all(a > b for a, b in pairwise(widths))
