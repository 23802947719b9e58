"""What the cells of a laboratory say together: means, and paired differences with intervals.

The two units of chance are the seed (problems, sampling, training) and the problem within it.
Methods share both, so differences are paired; their intervals are Student's over seeds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from funprm.errors import DataError
from funprm.evaluation.statistics import Interval, student_quantile
from funprm.lab.config import LabConfig
from funprm.lab.methods import Measurement, corruption_of

Floats = NDArray[np.float64]

LEVEL = 0.95
CHOSEN = "chosen"
"""Of `CANDIDATES` the one that validation prefers: what a user would deploy."""
CANDIDATES = (
    "none", "joint", "table", "reweight", "table+reweight", "pooled", "posterior",
    "joint+pairs", "posterior+pairs",
)  # fmt: skip

MEASURES = ("error", "step_auc", "best_of_n")
"""Squared error of rewards (less is better), step AUC, accuracy of the choice among N."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method under one corruption."""

    corruption: str
    method: str
    means: Mapping[str, float]
    """By measure; missing where the method has none."""
    to_none: Mapping[str, Interval]
    """Differences to `none`, by measure."""
    to_joint: Mapping[str, Interval]
    """Differences to `joint`, by measure."""
    curve: Mapping[int, float]
    """Accuracy of the choice among N programs, by N."""
    seconds: float
    """Of training, mean over seeds."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a laboratory's report shows."""

    title: str
    seeds: int
    size: int
    """N of the measure `best_of_n`."""
    corruptions: tuple[str, ...]
    methods: tuple[str, ...]
    rows: Mapping[tuple[str, str], Row]
    """By corruption and method."""
    settings: Mapping[str, str]
    seconds: float
    """Of all cells."""


def summarise(config: LabConfig, cells: Sequence[Measurement], size: int = 8) -> Results:
    """Means and intervals of all cells.

    Args:
        config: with all names written out.
        cells: of all seeds; those of seeds that are not complete are left out.
        size: N of the measure `best_of_n`, or the largest below it.

    Raises:
        DataError: no cells.
    """
    if not cells:
        raise DataError("the laboratory has no finished cell: run it first")
    table = {(c.seed, c.corruption, c.method): c for c in cells}
    sizes = sorted({int(n) for c in cells for n in c.choices})
    chosen_size = max(n for n in sizes if n <= size)
    names = [*config.methods]
    if sum(name in CANDIDATES for name in names) > 1:
        names.append(CHOSEN)
    rows = {}
    for corruption in config.corruptions:
        found = {
            name: [_cell(table, seed, corruption, name) for seed in range(config.seeds)]
            for name in names
        }
        for name, own in found.items():
            rows[corruption, name] = _row(corruption, name, own, found, chosen_size)
    return Results(
        title=config.title,
        seeds=config.seeds,
        size=chosen_size,
        corruptions=config.corruptions,
        methods=tuple(names),
        rows=rows,
        settings=_settings(config),
        seconds=sum(c.seconds for c in cells),
    )


def _cell(
    table: Mapping[tuple[int, str, str], Measurement], seed: int, corruption: str, name: str
) -> Measurement:
    if name == CHOSEN:
        rivals = [table[seed, corruption, m] for m in CANDIDATES if (seed, corruption, m) in table]
        return max(rivals, key=lambda cell: cell.criterion)
    return table[seed, corruption_of(corruption, name), name]


def _row(
    corruption: str,
    name: str,
    own: Sequence[Measurement],
    found: Mapping[str, Sequence[Measurement]],
    size: int,
) -> Row:
    values = _values(own, size)
    return Row(
        corruption=corruption,
        method=name,
        means={m: float(np.mean([v.mean() for v in vs])) for m, vs in values.items()},
        to_none=_differences(values, found.get("none", ()), size),
        to_joint=_differences(values, found.get("joint", ()), size),
        curve={
            int(n): float(np.mean([np.mean(c.choices[n]) for c in own])) for n in own[0].choices
        },
        seconds=float(np.mean([c.seconds for c in own])),
    )


def _values(cells: Sequence[Measurement], size: int) -> dict[str, list[Floats]]:
    """Every measure of every seed by problem; one number where it has no terms."""
    pick: Mapping[str, Callable[[Measurement], Iterable[float]]] = {
        "error": lambda cell: cell.errors,
        "step_auc": lambda cell: () if cell.step_auc is None else (cell.step_auc,),
        "best_of_n": lambda cell: cell.choices[str(size)],
    }
    found = {
        name: [np.array(list(p(c)), dtype=np.float64) for c in cells] for name, p in pick.items()
    }
    return {name: values for name, values in found.items() if all(len(v) for v in values)}


def _differences(
    values: Mapping[str, Sequence[Floats]], baseline: Sequence[Measurement], size: int
) -> dict[str, Interval]:
    if not baseline:
        return {}
    other = _values(baseline, size)
    return {
        name: two_level([a - b for a, b in zip(own, other[name], strict=True)])
        for name, own in values.items()
        if name in other
    }


def two_level(groups: Sequence[Floats]) -> Interval:
    """Mean over seeds of means over problems, with its 95 % interval.

    Half its width is Student's t times the standard error over seeds (which holds the chance of
    problems, too), and never less than 1.96 times the standard error over problems alone. A
    bootstrap of few seeds is too narrow: of three that differ it covers .87 in place of .95.

    Args:
        groups: one array of terms per seed. Of a single seed, only the chance of problems is seen.

    Raises:
        DataError: no seeds, or a seed without terms.
    """
    if not groups or not all(len(terms) for terms in groups):
        raise DataError("no seeds to average over, or one without terms: expected some of both")
    seeds = len(groups)
    means = np.array([terms.mean() for terms in groups])
    within = [terms.var(ddof=1) / len(terms) if len(terms) > 1 else 0.0 for terms in groups]
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(np.mean(within) / seeds)
    if seeds > 1:
        error = float(means.std(ddof=1)) / math.sqrt(seeds)
        half = max(half, student_quantile(LEVEL, seeds - 1) * error)
    middle = float(means.mean())
    return Interval(middle, middle - half, middle + half)


def _settings(config: LabConfig) -> dict[str, str]:
    sizes = config.sizes
    return {
        "problems": f"{sizes.train} train, {sizes.meta} meta, {sizes.validation} validation, "
        f"{sizes.test} test per seed",
        "programs": f"{sizes.programs} per problem, {sizes.candidates} per test problem",
        "truth": f"{sizes.truth} further completions of {sizes.truth_train} train and "
        f"{sizes.truth_test} test prefixes per seed",
        "training": f"tuning {config.train.tuning}, {config.train.epochs:g} epochs, "
        f"{config.train.warmup_epochs:g} of them warm-up",
    }
