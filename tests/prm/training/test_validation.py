import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funprm.prm.training.validation import expected_choice, metrics, not_worse, weighted_auc
from tests.prm.world import program


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=2, max_size=6),
    st.integers(1, 6),
)
def test_expected_choice_is_the_mean_over_all_subsets(
    rows: list[tuple[int, int]], size: int
) -> None:
    size = min(size, len(rows))
    expected = []
    for subset in itertools.combinations(rows, size):
        best = max(score for score, _ in subset)
        expected.append(np.mean([outcome for score, outcome in subset if score == best]))
    totals, outcomes = np.array(rows, dtype=float).T
    if len(set(totals)) == len(totals):
        assert expected_choice(totals, outcomes, size) == pytest.approx(np.mean(expected))
    else:
        assert 0.0 <= expected_choice(totals, outcomes, size) <= 1.0 + 1e-12


def test_equal_scores_choose_at_random() -> None:
    assert expected_choice(np.zeros(4), np.array([1.0, 0, 0, 0]), 4) == pytest.approx(0.25)
    assert expected_choice(np.array([1.0, 1, 0]), np.array([1.0, 0, 0]), 3) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_auc_counts_pairs(rows: list[tuple[int, int, int]]) -> None:
    positives = [s for s, up, _ in rows for _ in range(up)]
    negatives = [s for s, _, down in rows for _ in range(down)]
    scores, up, down = np.array(rows, dtype=float).T
    if not positives or not negatives:
        assert weighted_auc(scores, up, down) is None
        return
    wins = [(a > b) + (a == b) / 2 for a in positives for b in negatives]
    assert weighted_auc(scores, up, down) == pytest.approx(np.mean(wins))


def test_later_weights_win_within_the_noise() -> None:
    top = [1.0, 0.5, 1.0, 0.0]
    assert not_worse(top, top)
    assert not_worse([1.0, 0.5, 0.9, 0.0], top)
    assert not_worse([0.5, 1.0, 1.0, 0.0], top)
    assert not not_worse([0.9, 0.4, 0.8, 0.0], top)
    assert not_worse([0.5], [0.4])
    assert not not_worse([0.4], [0.5])


def test_metrics_of_a_perfect_and_of_a_reversed_model() -> None:
    programs = [
        program(f"p{i}", kinds, [4 * good, good], [4, 1])
        for i in range(3)
        for kinds, good in (("ab", 1), ("ax", 0), ("xb", 0), ("ba", 1))
    ]
    truth = [(float(p.k[-1]),) * 2 for p in programs]
    best, _ = metrics(programs, truth, "mean")
    assert best.criterion == pytest.approx(5 / 6)  # of a pair, at least one is right
    assert best.best_of_n["last"] == best.outcome_auc == best.step_auc == 1.0
    assert (best.brier, best.one_sample, best.oracle) == (0.0, 0.5, 1.0)
    worst, _ = metrics(programs, [(1 - a, 1 - b) for a, b in truth], "mean")
    assert worst.best_of_n["min"] == worst.outcome_auc == 0.0
    assert worst.brier == 1.0
