"""From choices per problem to the rows and curves that compare selectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import NamedTuple

import numpy as np

from funprm.errors import DataError
from funprm.evaluation.selection import Candidate, Selector, best_of_n
from funprm.evaluation.significance import Resolution, holm, resolution
from funprm.evaluation.statistics import Interval, McNemar, bootstrap, mcnemar, paired_bootstrap

_ORDER = {"easy": 0, "medium": 1, "hard": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Accuracy on the problems of one difficulty."""

    problems: int
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One selector's accuracy, its uncertainty, and its paired comparison with the baseline."""

    selector: str
    n: int
    """Candidates per problem it chooses from."""
    problems: int
    accuracy: Interval
    """Expected share of problems solved, over the random choice among ties."""
    solved: int
    """Problems solved by the programs that were in fact chosen."""
    by_difficulty: Mapping[str, Part] = field(default_factory=dict)
    difference: Interval | None = None
    """Accuracy minus the baseline's; None for the baseline itself."""
    mcnemar: McNemar | None = None
    """Of the programs in fact chosen. First: this selector; second: the baseline."""
    adjusted: float | None = None
    """The test's p, adjusted for all rows but the oracle's, which claims nothing (`holm`)."""
    uninformed: int = 0
    """Problems where it chose at random because its information was missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """The selector under study against another one, on the same problems."""

    selector: str
    """The other one."""
    difference: Interval
    """Accuracy of the selector under study minus the other's; paired bootstrap."""
    mcnemar: McNemar
    """First: the selector under study; second: the other one."""
    adjusted: float | None = None
    """The test's p, adjusted for all contrasts but the oracle's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Expected accuracy of a selector over the number N of candidates."""

    selector: str
    problems: int
    points: tuple[tuple[int, Interval], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """What became of a selector's choice, problem by problem."""

    selector: str
    n: int
    """Candidates per problem."""
    solved: tuple[bool | None, ...]
    """Did the chosen program pass; None: it was not judged."""
    expected: tuple[float, ...]
    """Share of passing programs among those that tie for the choice; not used where `solved` is
    None."""
    uninformed: frozenset[int] = frozenset()
    """Positions of the problems where the choice was random for want of information."""


def outcomes(
    selector: Selector, pools: Sequence[Sequence[Candidate]], choices: Sequence[int]
) -> Outcomes:
    """What became of a selector's choices.

    Args:
        selector: the selector.
        pools: all candidates, problem by problem.
        choices: the position that the selector chose in each pool.
    """
    expected = []
    for pool in pools:
        judged = [pool[i].passed for i in selector.best(pool) if pool[i].passed is not None]
        expected.append(sum(map(bool, judged)) / len(judged) if judged else 0.0)
    one_sample = selector.name == "random"
    return Outcomes(
        selector=selector.name,
        n=1 if one_sample else max(map(len, pools), default=0),
        solved=tuple(pool[i].passed for pool, i in zip(pools, choices, strict=True)),
        expected=tuple(expected),
        uninformed=frozenset(i for i, pool in enumerate(pools) if not selector.informed(pool)),
    )


class Table(NamedTuple):
    """Rows over the same problems, how many problems they leave out, and what these can show."""

    rows: tuple[TableRow, ...]
    left_out: int
    resolution: Resolution | None
    """Where the baseline differs from others on as many problems as at the median; None: it is the
    only row."""


def compare(
    results: Sequence[Outcomes],
    difficulties: Sequence[str],
    *,
    baseline: str,
    resamples: int = 10_000,
    seed: int = 0,
) -> Table:
    """Rows of the table: accuracy, intervals, and paired comparison with the baseline.

    All rows count the same problems: those where every chosen program was judged.

    Args:
        results: one per selector, all over the same problems in the same order.
        difficulties: of these problems; empty where unknown.
        baseline: name of the selector to compare with.
        resamples: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        DataError: the baseline is not among the results, their lengths differ, or no problem is
            left.
    """
    names = [o.selector for o in results]
    if baseline not in names:
        raise DataError(f"baseline {baseline!r} is not among the selectors: {', '.join(names)}")
    lengths = {len(o.solved) for o in results} | {len(difficulties)}
    if len(lengths) != 1:
        raise DataError(f"selectors cover different numbers of problems: {sorted(lengths)}")
    chosen = zip(*(o.solved for o in results), strict=True)
    kept = [i for i, row in enumerate(chosen) if None not in row]
    if not kept:
        raise DataError("no problem where every chosen program was judged: nothing to compare")
    solved = np.array([[bool(o.solved[i]) for o in results] for i in kept])
    expected = np.array([[o.expected[i] for o in results] for i in kept])
    levels = [difficulties[i] for i in kept]
    reference = names.index(baseline)
    accuracies = bootstrap(expected, resamples=resamples, seed=seed)
    differences = paired_bootstrap(expected, reference, resamples=resamples, seed=seed)
    rows = []
    for j, o in enumerate(results):
        column, other = solved[:, j].tolist(), solved[:, reference].tolist()
        rows.append(
            TableRow(
                selector=o.selector,
                n=o.n,
                solved=sum(column),
                problems=len(kept),
                accuracy=accuracies[j],
                by_difficulty=_parts(expected[:, j].tolist(), levels),
                difference=None if j == reference else differences[j],
                mcnemar=None if j == reference else mcnemar(column, other),
                uninformed=len(o.uninformed.intersection(kept)),
            )
        )
    return Table(_adjusted(rows), len(difficulties) - len(kept), _resolution(rows))


def _adjusted(rows: Sequence[TableRow]) -> tuple[TableRow, ...]:
    """Rows with p-values for several comparisons; the oracle is a bound, and compares nothing."""
    tested = [i for i, r in enumerate(rows) if r.mcnemar and not r.selector.endswith("oracle")]
    raw = [row.mcnemar.p for row in rows if row.mcnemar and not row.selector.endswith("oracle")]
    found = dict(zip(tested, holm(raw), strict=True))
    return tuple(replace(row, adjusted=found.get(i)) for i, row in enumerate(rows))


def _resolution(rows: Sequence[TableRow]) -> Resolution | None:
    tests = [row.mcnemar for row in rows if row.mcnemar]
    if not tests:
        return None
    problems = rows[0].problems
    shares = [(test.only_first + test.only_second) / problems for test in tests]
    return resolution(problems, median(shares))


def contrasts(
    results: Sequence[Outcomes], focus: str, *, resamples: int = 10_000, seed: int = 0
) -> tuple[Contrast, ...]:
    """One selector against each other one, on the problems that `compare` keeps.

    Raises:
        DataError: as `compare`, for `focus` in place of the baseline.
    """
    unknown = [""] * len(results[0].solved)
    rows = compare(results, unknown, baseline=focus, resamples=resamples, seed=seed).rows
    return tuple(
        Contrast(
            selector=row.selector,
            difference=Interval(
                -row.difference.estimate, -row.difference.high, -row.difference.low
            ),
            mcnemar=McNemar(row.mcnemar.p, row.mcnemar.only_second, row.mcnemar.only_first),
            adjusted=row.adjusted,
        )
        for row in rows
        if row.difference is not None and row.mcnemar is not None
    )


def curve(
    selector: Selector,
    pools: Sequence[Sequence[Candidate]],
    sizes: Sequence[int],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Curve:
    """The best-of-N curve of a selector, with intervals over problems.

    Only problems with judged candidates enough for the largest size count, so that the curve is
    over the same problems everywhere.

    Args:
        selector: the selector.
        pools: all candidates, problem by problem.
        sizes: numbers N of candidates, ascending.
        resamples: bootstrap samples.
        seed: of random subsets and of the bootstrap.

    Raises:
        DataError: no problem has enough judged candidates.
    """
    accuracies = [best_of_n(selector, pool, sizes, seed=seed) for pool in pools]
    values = [row for row in accuracies if None not in row]
    if not values:
        raise DataError(
            f"no problem has {max(sizes)} judged candidates: ask for a smaller best-of-N"
        )
    intervals = bootstrap(np.array(values, dtype=np.float64), resamples=resamples, seed=seed)
    return Curve(
        selector=selector.name,
        problems=len(values),
        points=tuple(zip(sizes, intervals, strict=True)),
    )


def _parts(expected: Sequence[float], difficulties: Sequence[str]) -> dict[str, Part]:
    """Accuracy by difficulty, easiest first; problems of unknown difficulty are in none."""
    names = sorted(set(difficulties) - {""}, key=lambda name: (_ORDER.get(name, 9), name))
    parts = {}
    for name in names:
        inside = [e for e, d in zip(expected, difficulties, strict=True) if d == name]
        parts[name] = Part(problems=len(inside), accuracy=fmean(inside))
    return parts
