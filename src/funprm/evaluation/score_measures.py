"""What scores are worth: do they tell right from wrong, and are they true as probabilities?"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from funprm.errors import DataError

Floats = NDArray[np.float64]


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """P(a positive scores above a negative), ties counting one half; 1/2 is chance.

    Args:
        labels: [items], 0 or 1.
        scores: [items], finite; greater means more likely 1.

    Returns:
        A number in [0, 1]; None where one class is missing.

    Raises:
        DataError: different lengths, or labels other than 0 and 1.

    >>> roc_auc([0, 1, 1], [0.1, 0.1, 0.9])
    0.75
    """
    y, s = _pair(labels, scores)
    if not np.isin(y, (0.0, 1.0)).all():
        raise DataError("AUC needs labels 0 and 1: compare soft rewards with a threshold first")
    return weighted_auc(s, y, 1 - y)


def weighted_auc(scores: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> float | None:
    """As `roc_auc`, where each score stands for several positives and negatives.

    Args:
        scores: any real numbers, [R].
        positive: positives at each score, [R].
        negative: negatives at each score, [R].

    Returns:
        A number in [0, 1]; None where one class is missing.
    """
    _, group = np.unique(np.asarray(scores), return_inverse=True)
    up, down = (np.bincount(group, np.asarray(w, np.float64)) for w in (positive, negative))
    pairs = up.sum() * down.sum()
    if pairs == 0:
        return None
    return float((up * (np.cumsum(down) - down / 2)).sum() / pairs)


def brier(labels: ArrayLike, scores: ArrayLike) -> float:
    """The mean squared error of probabilities (Brier 1950), in [0, 1]; smaller is better.

    Args:
        labels: [items] in [0, 1]; soft labels are allowed.
        scores: [items], probabilities.

    Raises:
        DataError: different lengths, or none.

    >>> brier([1, 0], [0.5, 0.5])
    0.25
    """
    y, s = _pair(labels, scores)
    return float(np.square(s - y).mean())


def calibration_error(labels: ArrayLike, scores: ArrayLike, *, bins: int = 15) -> float:
    """Expected calibration error with bins of equal width, in [0, 1] (arXiv 1706.04599, eq. 3).

    The mean over items of |mean label - mean score| of the item's bin.

    Args:
        labels: [items] in [0, 1]; soft labels are allowed.
        scores: [items], probabilities.
        bins: number of bins.

    Raises:
        DataError: different lengths, or none.

    >>> calibration_error([1, 0, 1, 1], [0.75, 0.75, 0.75, 0.75])
    0.0
    """
    y, s = _pair(labels, scores)
    group = np.minimum((s * bins).astype(np.int64), bins - 1)
    return float(np.abs(np.bincount(group, weights=y - s)).sum() / len(y))


def _pair(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or y.shape != s.shape or not y.size:
        raise DataError(f"labels {y.shape} and scores {s.shape}: expected one label per score")
    return y, s
