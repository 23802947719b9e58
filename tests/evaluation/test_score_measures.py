import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.errors import DataError
from funprm.evaluation.score_measures import brier, calibration_error, roc_auc, weighted_auc

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=100)


@REPEATABLE
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.9])), min_size=1))
def test_auc_is_the_share_of_ordered_pairs(items: list[tuple[bool, float]]) -> None:
    positive = [s for y, s in items if y]
    negative = [s for y, s in items if not y]
    got = roc_auc([y for y, _ in items], [s for _, s in items])
    if not positive or not negative:
        assert got is None
        return
    pairs = [(p > q) + 0.5 * (p == q) for p in positive for q in negative]
    assert got == pytest.approx(sum(pairs) / len(pairs))


def test_auc_refuses_soft_labels() -> None:
    with pytest.raises(DataError, match="labels 0 and 1"):
        roc_auc([0.5, 1.0], [0.1, 0.2])


def test_known_brier_and_calibration() -> None:
    assert brier([1, 0], [0.8, 0.4]) == pytest.approx(0.1)
    assert calibration_error([1, 1, 0, 0], [1.0, 0.9, 0.1, 0.0], bins=2) == pytest.approx(0.05)
    assert calibration_error([0, 0], [1.0, 1.0]) == 1.0
    for measure in (brier, calibration_error):
        with pytest.raises(DataError, match="one label per score"):
            measure([1], [0.2, 0.3])
        with pytest.raises(DataError):
            measure([], [])


@REPEATABLE
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
