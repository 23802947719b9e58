import doctest
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.errors import ConfigError, DataError
from funprm.evaluation import aggregation
from funprm.evaluation.aggregation import AGGREGATORS, aggregator

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=100)
scores = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(aggregation).failed == 0


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
