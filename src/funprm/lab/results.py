"""What the cells of a laboratory say together: means, and paired differences with intervals.

The two units of chance are the seed (problems, sampling, training) and the problem within it.
Intervals come from a bootstrap that draws seeds, and within each drawn seed problems; methods
share every draw, so differences are paired.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from funprm.errors import DataError
from funprm.lab.config import LabConfig
from funprm.lab.methods import Cell, corruption_of
from funprm.statistics import Interval, resampled_means

Floats = NDArray[np.float64]

RESAMPLES = 2_000
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


def summarise(config: LabConfig, cells: Sequence[Cell], size: int = 8) -> Results:
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
    table: Mapping[tuple[int, str, str], Cell], seed: int, corruption: str, name: str
) -> Cell:
    if name == CHOSEN:
        rivals = [table[seed, corruption, m] for m in CANDIDATES if (seed, corruption, m) in table]
        return max(rivals, key=lambda cell: cell.criterion)
    return table[seed, corruption_of(corruption, name), name]


def _row(
    corruption: str,
    name: str,
    own: Sequence[Cell],
    found: Mapping[str, Sequence[Cell]],
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


def _values(cells: Sequence[Cell], size: int) -> dict[str, list[Floats]]:
    """Every measure of every seed by problem; one number where it has no terms."""
    pick: Mapping[str, Callable[[Cell], Iterable[float]]] = {
        "error": lambda cell: cell.errors,
        "step_auc": lambda cell: () if cell.step_auc is None else (cell.step_auc,),
        "best_of_n": lambda cell: cell.choices[str(size)],
    }
    found = {
        name: [np.array(list(p(c)), dtype=np.float64) for c in cells] for name, p in pick.items()
    }
    return {name: values for name, values in found.items() if all(len(v) for v in values)}


def _differences(
    values: Mapping[str, Sequence[Floats]], baseline: Sequence[Cell], size: int
) -> dict[str, Interval]:
    if not baseline:
        return {}
    other = _values(baseline, size)
    return {
        name: two_level([a - b for a, b in zip(own, other[name], strict=True)])
        for name, own in values.items()
        if name in other
    }


def two_level(groups: Sequence[Floats], *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Mean over seeds of means over problems, with its percentile interval.

    Args:
        groups: one array of terms per seed.
        resamples: of seeds, and of problems within each.
        seed: of the resampling.

    Raises:
        DataError: no seeds, or a seed without terms.
    """
    if not groups:
        raise DataError("no seeds to average over: expected at least one")
    inner = np.stack(
        [
            resampled_means(terms, resamples=resamples, seed=seed + i)[:, 0]
            for i, terms in enumerate(groups)
        ]
    )
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(groups), size=(resamples, len(groups)))
    # The same seed drawn twice draws its problems anew: another column of `inner`.
    columns = rng.integers(0, resamples, size=drawn.shape)
    means = inner[drawn, columns].mean(1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(np.mean([g.mean() for g in groups])), float(low), float(high))


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
