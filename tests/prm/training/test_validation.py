import pytest

from funprm.prm.training.validation import metrics, not_worse
from tests.prm.world import program


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
