"""What a model's scores are worth on validation problems."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from funprm.evaluation.aggregation import AGGREGATORS
from funprm.evaluation.score_measures import brier, weighted_auc
from funprm.evaluation.selection import expected_choice
from funprm.prm.records import Validation
from funprm.records import LabelledProgram

Floats = NDArray[np.float64]

CHOICE = 8
"""Size of the sets of programs from which the criterion lets a model choose, at most."""


def metrics(
    programs: Sequence[LabelledProgram], scores: Sequence[Sequence[float]], aggregator: str
) -> tuple[Validation, tuple[float, ...]]:
    """Best-of-N accuracy by aggregator, areas under curves, Brier score, and the criterion.

    Args:
        programs: with known outcomes, several per problem; at least one.
        scores: step scores of each program, in [0, 1].
        aggregator: the one whose choices make the criterion.

    Returns:
        The metrics, and the criterion's terms by problem. `criterion`: expected accuracy of
        `aggregator`'s choice among a random half of a problem's programs (2 to `CHOICE` of them),
        averaged over problems: the quantity the model is used for, and smoother than the accuracy
        of the one choice among all, because lower ranks count, too. `best_of_n`: accuracy of each
        aggregator's choice among all programs of a problem, ties split. `outcome_auc`, `brier`: of
        the last step's score against the outcome. `step_auc`: of earlier steps against their k
        and n; None where undefined.
    """
    outcomes = np.array([program.outcome for program in programs])
    groups = defaultdict(list)
    for index, program in enumerate(programs):
        groups[program.problem_id].append(index)
    sets = [np.array(indices) for indices in groups.values()]
    totals = {n: np.array([a(s) for s in scores]) for n, a in AGGREGATORS.items()}
    last, total = totals["last"], totals[aggregator]
    by_problem = [expected_choice(total[s], outcomes[s], _half(len(s))) for s in sets]
    found = Validation(
        criterion=_mean(by_problem),
        best_of_n={
            name: _mean(expected_choice(values[s], outcomes[s], len(s)) for s in sets)
            for name, values in totals.items()
        },
        one_sample=_mean(outcomes[s].mean() for s in sets),
        oracle=_mean(outcomes[s].max() for s in sets),
        outcome_auc=weighted_auc(last, outcomes, 1 - outcomes),
        step_auc=_step_auc(programs, scores),
        brier=brier(outcomes, last),
    )
    return found, tuple(by_problem)


def not_worse(new: Sequence[float], top: Sequence[float]) -> bool:
    """Whether `new` is within one standard error of `top`, paired by problem, or above it.

    Args:
        new: a criterion's terms by problem.
        top: those of the best checkpoint so far, same problems.
    """
    gap = np.array(top) - np.array(new)
    if len(gap) == 1:
        return bool(gap[0] <= 0)
    return bool(gap.mean() <= gap.std(ddof=1) / math.sqrt(len(gap)))


def _step_auc(
    programs: Sequence[LabelledProgram], scores: Sequence[Sequence[float]]
) -> float | None:
    rows = [
        (p, k, n - k)
        for program, ps in zip(programs, scores, strict=True)
        for p, k, n in list(zip(ps, program.k, program.n, strict=True))[:-1]
        if n
    ]
    if not rows:
        return None
    table = np.array(rows, dtype=np.float64)
    return weighted_auc(table[:, 0], table[:, 1], table[:, 2])


def _half(programs: int) -> int:
    return min(programs, max(2, min(CHOICE, programs // 2)))


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)
