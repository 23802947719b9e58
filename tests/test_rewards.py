import doctest
import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm import rewards
from funprm.errors import ConfigError, DataError
from funprm.evaluation.aggregation import AGGREGATORS, aggregator
from funprm.rewards import posterior_sd, prior_reward, raw_reward, tally

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=100)
scores = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)
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


@pytest.mark.parametrize("name", AGGREGATORS)
@REPEATABLE
@given(scores=scores, data=st.data())
def test_aggregators_are_monotone(name: str, scores: list[float], data: st.DataObject) -> None:
    raised = [data.draw(st.floats(p, 1.0)) for p in scores]
    assert AGGREGATORS[name](raised) >= AGGREGATORS[name](scores)


@pytest.mark.parametrize("name", ["mean", "min", "product", "log_odds"])
@REPEATABLE
@given(scores=scores, data=st.data())
def test_all_but_last_ignore_the_order(name: str, scores: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(scores))
    assert AGGREGATORS[name](shuffled) == AGGREGATORS[name](scores)


@REPEATABLE
@given(p=st.floats(0.0, 1.0))
def test_of_one_step_the_aggregate_is_its_score(p: float) -> None:
    for name in ("mean", "last", "min"):
        assert AGGREGATORS[name]([p]) == p


@pytest.mark.parametrize("name", ["product", "log_odds"])
def test_a_thousand_tiny_scores_still_rank(name: str) -> None:
    worse, better = [1e-5] * 1000, [1e-5] * 999 + [2e-5]
    assert math.prod(worse) == math.prod(better) == 0.0
    assert -math.inf < AGGREGATORS[name](worse) < AGGREGATORS[name](better)


def test_known_aggregates() -> None:
    steps = [0.9, 0.2, 0.4]
    got = {name: f(steps) for name, f in AGGREGATORS.items()}
    assert got["mean"] == pytest.approx(0.5)
    assert (got["last"], got["min"]) == (0.4, 0.2)
    assert math.exp(got["product"]) == pytest.approx(0.072)
    assert math.exp(got["log_odds"]) == pytest.approx(9 * (0.2 / 0.8) * (0.4 / 0.6))


def test_a_saturated_step_does_not_decide_alone() -> None:
    assert math.isfinite(AGGREGATORS["log_odds"]([0.0, 1.0]))
    assert AGGREGATORS["log_odds"]([0.0, 1.0]) == pytest.approx(0.0, abs=1e-6)
    assert AGGREGATORS["product"]([0.0, 1.0]) == -math.inf


@pytest.mark.parametrize("bad", [[], [1.2], [-0.1], [math.nan]])
@pytest.mark.parametrize("name", AGGREGATORS)
def test_what_is_no_score_is_refused(name: str, bad: Sequence[float]) -> None:
    with pytest.raises(DataError):
        AGGREGATORS[name](bad)


def test_an_unknown_aggregator_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'prodcut': did you mean 'product'\?"):
        aggregator("prodcut")
    with pytest.raises(ConfigError, match="known are: last, log_odds, mean, min, product"):
        aggregator("zzz")


def test_uncertainty_falls_with_evidence() -> None:
    widths = [posterior_sd(n // 2, n) for n in (0, 2, 8, 32, 128)]
    assert all(a > b for a, b in pairwise(widths))
