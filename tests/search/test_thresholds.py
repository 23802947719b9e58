"""A threshold for early stopping, from programs whose verdicts are known."""

import pytest

from funprm.errors import DataError
from funprm.search.thresholds import Tried, choose


def tried(*scores: float, passed: bool = False) -> Tried:
    return Tried(scores=scores, passed=passed)


POOL = [
    [tried(0.6, 0.9, 0.9, passed=True), tried(0.1, 0.2, 0.3), tried(0.5, 0.05, 0.1)],
    [tried(0.3, 0.8, 0.9, passed=True), tried(0.4, 0.5, 0.5), tried(0.2, 0.2, 0.2)],
]


def test_what_costs_nothing_is_abandoned() -> None:
    found = choose(POOL, loss=0.0)
    assert (found.value, found.accuracy) == (0.3, 1.0)
    # Abandoned: after one step, after two, after one; the last step of each costs nothing more.
    assert found.written == pytest.approx((3 + 1 + 2 + 3 + 3 + 1) / 18)


def test_more_is_abandoned_where_more_may_be_lost() -> None:
    found = choose(POOL, loss=0.5)
    assert (found.value, found.accuracy) == (0.9, 0.5)
    assert found.written < choose(POOL, loss=0.0).written


def test_some_of_the_best_are_never_abandoned() -> None:
    hopeless = [[tried(0.01, 0.02, passed=True), tried(0.0, 0.01)]]
    assert choose(hopeless, loss=0.0).accuracy == 1.0
    assert choose(POOL, loss=0.0, least=3).written == 1.0


def test_programs_of_one_function_are_never_abandoned() -> None:
    found = choose([[tried(0.1, passed=True), tried(0.9)]])
    assert (found.value, found.written) == (0.0, 1.0)


def test_the_value_may_be_another() -> None:
    falls = [[tried(0.9, 0.2, 0.9, passed=True), tried(0.5, 0.5, 0.5)]]
    assert choose(falls, loss=0.0, value="last").value == 0.2
    assert choose(falls, loss=0.0, value="mean").value == 0.9


def test_no_programs_are_refused() -> None:
    with pytest.raises(DataError, match="no programs"):
        choose([[], []])
