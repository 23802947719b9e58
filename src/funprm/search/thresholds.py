"""Which beginnings are hopeless: a threshold for early stopping, from validation programs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from funprm.errors import DataError
from funprm.evaluation.aggregation import aggregator


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A complete program whose verdict is known."""

    scores: tuple[float, ...]
    """Of its steps; at least one."""
    passed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """What a threshold would have done."""

    value: float
    accuracy: float
    """Share of problems whose chosen program passes, where those below are abandoned."""
    written: float
    """Share of all steps that would have been written."""


def choose(
    problems: Sequence[Sequence[Tried]],
    *,
    loss: float = 0.01,
    value: str = "last",
    select: str = "mean",
    least: int = 1,
) -> Threshold:
    """The largest threshold that costs no more accuracy than is given.

    >>> good, bad = Tried(scores=(0.6, 0.9), passed=True), Tried(scores=(0.2, 0.4), passed=False)
    >>> choose([[good, bad], [bad, bad]], loss=0.0)
    Threshold(value=0.6, accuracy=0.5, written=0.75)

    Args:
        problems: complete programs of each; a problem without any does not count.
        loss: accuracy that may be lost, such as 0.01: a point.
        value: how step scores become the value of a beginning, as the search does it.
        select: how they become the score that chooses among complete programs.
        least: so many of the best of a problem are never abandoned.

    Raises:
        DataError: there are no programs.
    """
    counted = [programs for programs in problems if programs]
    if not counted:
        raise DataError("no programs to choose a threshold by: expected those of some problems")
    values = [[_values(tried, value) for tried in programs] for programs in counted]
    met = {v for row in values for begun in row for v in begun}
    found = [_tried(counted, values, threshold, select, least) for threshold in sorted({0.0, *met})]
    bound = found[0].accuracy - loss - 1e-12
    return max((x for x in found if x.accuracy >= bound), key=lambda x: x.value)


def _values(tried: Tried, value: str) -> list[float]:
    """The values of a program's beginnings; the whole is not abandoned any more."""
    return [aggregator(value)(tried.scores[:end]) for end in range(1, len(tried.scores))]


def _tried(
    problems: Sequence[Sequence[Tried]],
    values: Sequence[Sequence[Sequence[float]]],
    threshold: float,
    select: str,
    least: int,
) -> Threshold:
    right, written, steps = 0, 0, 0
    for programs, begun in zip(problems, values, strict=True):
        lowest = [min(row, default=math.inf) for row in begun]
        order = sorted(range(len(programs)), key=lowest.__getitem__, reverse=True)
        kept = [i for rank, i in enumerate(order) if rank < least or lowest[i] >= threshold]
        best = max(kept, key=lambda i: aggregator(select)(programs[i].scores))
        right += programs[best].passed
        for i, tried in enumerate(programs):
            whole = len(tried.scores)
            steps += whole
            until = (end for end, v in enumerate(begun[i], 1) if v < threshold and i not in kept)
            written += next(until, whole)
    return Threshold(value=threshold, accuracy=right / len(problems), written=written / steps)
