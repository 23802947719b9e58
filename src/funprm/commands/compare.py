"""Runs against each other, problem by problem: what `funprm compare RUN RUN...` does.

Only choices are compared, so runs may have other candidates, policies and models: what they need in
common is problems.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from funprm.errors import ConfigError, DataError, InputError, nearest
from funprm.evaluation.significance import Resolution, holm, resolution
from funprm.evaluation.statistics import (
    Interval,
    McNemar,
    bootstrap,
    mcnemar,
    paired_bootstrap,
)
from funprm.records import Json, Selection
from funprm.report import wording
from funprm.store import read_records

SEPARATOR = "@"
"""Between a run's folder and the selector that is meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One run's selector, on the problems that all sides of its group have."""

    run: str
    selector: str
    n: int
    """Candidates per problem, at most."""
    solved: int
    accuracy: Interval
    difference: Interval | None = None
    """Accuracy minus that of the group's first side; None: it is the first."""
    test: McNemar | None = None
    """First: this side; second: the group's first."""
    adjusted: float | None = None
    """The test's p, adjusted for all tests of all groups (Holm)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Sides that are compared with the first of them."""

    problems: int
    sides: tuple[Side, ...]
    resolution: Resolution | None
    """The smallest difference that these problems can show."""
    left_out: Mapping[str, int]
    """Problems of a run that do not count: others lack them, or a choice was not judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All groups."""

    groups: tuple[Group, ...]
    changed: Mapping[str, int]
    """Common problems whose texts or tests are others than in the first run, by run."""

    def json(self) -> dict[str, Json]:
        """All of it."""
        groups = [asdict(group, dict_factory=_named) for group in self.groups]
        return {"groups": groups, "changed": dict(self.changed)}

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """A table, and what is to be known of it."""
        lines = [_table(self.groups), ""]
        for group in self.groups if len({_shown(g) for g in self.groups}) > 1 else self.groups[:1]:
            lines.append(_shown(group))
        lines += [
            f"{run}: {count} problems have other texts or tests than in the first run"
            for run, count in self.changed.items()
        ]
        lines.append(
            "Difference: to the first line, on the same problems, 95 % interval; p: exact McNemar "
            "test of won against lost; Holm: adjusted for all tests shown."
        )
        return "\n".join(lines)


def _named(items: Iterable[tuple[str, Any]]) -> dict[str, Json]:
    """Fields by name, in intervals and tests, too."""
    return {k: v._asdict() if isinstance(v, Interval | McNemar) else v for k, v in items}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    name: str
    selector: str
    """The one that is meant; empty: all."""
    choices: Mapping[str, Mapping[str, Selection]]
    """By selector and problem."""
    keys: Mapping[str, str]
    """Of problems: their texts and tests."""


def compare(runs: Sequence[str], selectors: Sequence[str] = ()) -> Comparison:
    """Compare what was chosen in several runs.

    Args:
        runs: folders, or `FOLDER@SELECTOR`; the first one is what all others are compared with.
            Folders alone: each selector that all have, run against run. With selectors: those, in
            one group, which may be of one folder.
        selectors: only these, where runs are folders alone.

    Raises:
        InputError: a folder holds no choices.
        ConfigError: fewer than two runs, or a selector that a run lacks.
        DataError: no problem is common to all.
    """
    if len(runs) < 2:
        raise ConfigError("one run: expected two or more, such as runs/a runs/b")
    read = _read_all(runs)
    named = [run for run in read if run.selector]
    if named and (len(named) < len(read) or selectors):
        raise ConfigError(
            f"{runs[read.index(named[0])]} names a selector, and others do not: give all runs as "
            "FOLDER@SELECTOR, or none"
        )
    if named:
        arms = [[(run, run.selector) for run in read]]
    else:
        chosen = selectors or _common(read)
        arms = [[(run, selector) for run in read] for selector in chosen]
    return Comparison(groups=_adjusted([_group(sides) for sides in arms]), changed=_changed(read))


def _read_all(runs: Sequence[str]) -> list[_Run]:
    folders = [Path(name.partition(SEPARATOR)[0]) for name in runs]
    short = [folder.name for folder in folders]
    clear = len(set(short)) == len(set(folders))
    return [
        _read(folder, folder.name if clear else str(folder), name.partition(SEPARATOR)[2])
        for folder, name in zip(folders, runs, strict=True)
    ]


class _Problem(msgspec.Struct):
    key: str
    problem_id: str


def _read(folder: Path, name: str, selector: str) -> _Run:
    file = folder / "selections.jsonl"
    if not file.is_file():
        raise InputError(
            f"no choices in {folder}: expected the folder of a run that has done its stage `select`"
        )
    choices: dict[str, dict[str, Selection]] = {}
    for item in read_records(file, Selection):
        choices.setdefault(item.selector, {})[item.problem_id] = item
    if selector and selector not in choices:
        raise ConfigError(f"{folder} has no selector {selector!r}: {nearest(selector, choices)}")
    keys = {p.problem_id: p.key for p in read_records(folder / "problems.jsonl", _Problem)}
    return _Run(name=name, selector=selector, choices=choices, keys=keys)


def _common(runs: Sequence[_Run]) -> list[str]:
    """Selectors that all runs have, in the first one's order."""
    found = [name for name in runs[0].choices if all(name in run.choices for run in runs)]
    if not found:
        raise ConfigError(
            f"the runs have no selector in common ({'; '.join(map(_selectors, runs))}): name one "
            "for each, as FOLDER@SELECTOR"
        )
    return found


def _selectors(run: _Run) -> str:
    return f"{run.name}: {', '.join(run.choices)}"


def _group(arms: Sequence[tuple[_Run, str]]) -> Group:
    for run, selector in arms:
        if selector not in run.choices:
            raise ConfigError(f"{run.name} has no {selector!r}: {nearest(selector, run.choices)}")
    columns = [run.choices[selector] for run, selector in arms]
    kept = [
        problem
        for problem in columns[0]
        if all(problem in c and c[problem].passed is not None for c in columns)
    ]
    if not kept:
        raise DataError(
            f"no problem is in all of {', '.join(run.name for run, _ in arms)} with a judged "
            f"choice by {arms[0][1]}: nothing to compare"
        )
    solved = np.array([[bool(column[p].passed) for column in columns] for p in kept])
    sides = list(_sides(arms, columns, kept, solved))
    tests = [side.test for side in sides if side.test]
    shares = [(test.only_first + test.only_second) / len(kept) for test in tests]
    return Group(
        problems=len(kept),
        sides=tuple(sides),
        resolution=resolution(len(kept), float(np.median(shares))),
        left_out={
            run.name: len(column) - len(kept)
            for (run, _), column in zip(arms, columns, strict=True)
            if len(column) > len(kept)
        },
    )


def _sides(
    arms: Sequence[tuple[_Run, str]],
    columns: Sequence[Mapping[str, Selection]],
    kept: Sequence[str],
    solved: NDArray[np.bool_],
) -> Iterator[Side]:
    accuracies, differences = bootstrap(solved), paired_bootstrap(solved, 0)
    for j, ((run, selector), column) in enumerate(zip(arms, columns, strict=True)):
        yield Side(
            run=run.name,
            selector=selector,
            n=max(column[problem].n for problem in kept),
            solved=int(solved[:, j].sum()),
            accuracy=accuracies[j],
            difference=differences[j] if j else None,
            test=mcnemar(solved[:, j].tolist(), solved[:, 0].tolist()) if j else None,
        )


def _adjusted(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Groups with p-values for all tests together."""
    values = iter(holm([side.test.p for group in groups for side in group.sides if side.test]))
    return tuple(
        replace(
            group,
            sides=tuple(
                replace(side, adjusted=next(values)) if side.test else side for side in group.sides
            ),
        )
        for group in groups
    )


def _changed(runs: Sequence[_Run]) -> dict[str, int]:
    first = runs[0].keys
    counts = {
        run.name: sum(first.get(problem, key) != key for problem, key in run.keys.items())
        for run in runs[1:]
    }
    return {name: count for name, count in counts.items() if count}


# --- text ------------------------------------------------------------------------------------


def _shown(group: Group) -> str:
    text = f"{group.problems:,} problems"
    if group.left_out:
        others = ", ".join(f"{count} of {name}" for name, count in group.left_out.items())
        text += f" in common (left out: {others})"
    found = wording.resolution(group.resolution) if group.resolution else ""
    return f"{text}. {found}".strip()


def _table(groups: Sequence[Group]) -> str:
    table = Table(box=None, pad_edge=False)
    table.add_column("Selector", no_wrap=True)
    table.add_column("Run", no_wrap=True)
    for head in ("N", "Solved", "Accuracy", "Difference", "Won / lost", "p", "Holm"):
        table.add_column(head, justify="right", no_wrap=True)
    for group in groups:
        for side in group.sides:
            table.add_row(*_cells(side, group.problems))
    buffer = io.StringIO()
    Console(file=buffer, width=1000, color_system=None, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def _cells(side: Side, problems: int) -> Iterator[str]:
    accuracy, difference = side.accuracy, side.difference
    yield wording.selector_label(side.selector)
    yield side.run
    yield str(side.n)
    yield f"{side.solved}/{problems}"
    yield f"{wording.percent(accuracy.estimate)} [{wording.bounds(accuracy)}]"
    if difference is None:
        yield wording.DASH
    else:
        low, high = wording.points(difference.low), wording.points(difference.high)
        yield f"{wording.points(difference.estimate)} [{low}, {high}]"
    yield wording.won_lost(side.test)
    yield wording.p_value(side.test)
    yield wording.adjusted(side.adjusted)
