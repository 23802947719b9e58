"""How readable programs are, group by group: what `funprm quality FILE...` does.

Only programs that pass count, unless all are asked for: what does not work need not be readable.
Groups are compared problem by problem, so that hard problems, whose programs are longer, do not
decide which group is better.
"""

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from funprm.errors import ConfigError, DataError
from funprm.evaluation.quality import Quality, quality_of
from funprm.evaluation.statistics import Interval, paired_bootstrap
from funprm.formats.programs import problem_id_of
from funprm.records import Json
from funprm.row_files import read_rows, stem

MEASURES = tuple(item.name for item in fields(Quality))
_Programs = Mapping[str, Sequence[Quality]]
"""Of one group, by problem."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupQuality:
    """The programs of one group."""

    name: str
    problems: int
    programs: int
    means: Mapping[str, float | None]
    """By measure: the mean over problems of the mean over their programs; None: none has it."""
    problems_in_common: int = 0
    """With the first group."""
    differences: Mapping[str, Interval] = field(default_factory=dict)
    """To the first group, over the problems in common, by measure; empty of the first itself. Where
    all problems differ by as much, there is nothing to resample: bounds are the estimate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityTable:
    """All groups."""

    groups: tuple[GroupQuality, ...]
    left_out: Mapping[str, int]
    """Programs that do not count, by reason."""

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {"groups": [_plain(g) for g in self.groups], "left_out": dict(self.left_out)}

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """Means, differences to the first group, and what was left out."""
        parts = [_means(self.groups)]
        if len(self.groups) > 1:
            parts += [
                "",
                f"Minus {self.groups[0].name}, by problem (95 % interval; = the same on all):",
                "",
            ]
            parts.append(_differences(self.groups))
        if self.left_out:
            parts += [
                "",
                "left out: " + ", ".join(f"{n} {why}" for why, n in self.left_out.items()),
            ]
        return "\n".join(parts)


def quality(
    files: Sequence[Path],
    *,
    by: str = "",
    where: Mapping[str, str] | None = None,
    everything: bool = False,
) -> QualityTable:
    """Measure programs in files.

    Args:
        files: rows with a problem's id, `code`, and `passed`; or rows of problems with a list
            `candidates` of such. Several files are groups.
        by: a field whose values make groups, such as `model`; empty: none.
        where: values that fields of a program must have.
        everything: count programs that fail, or whose verdict is unknown, too.

    Raises:
        InputError: a file cannot be read.
        RecordError: a row is of no problem.
        DataError: no program counts.
    """
    groups: dict[str, dict[str, list[Quality]]] = {}
    left_out: dict[str, int] = {}
    for file in files:
        for problem, row in _programs(file):
            if any(str(row.get(name)) != value for name, value in (where or {}).items()):
                continue
            found = quality_of(str(row.get("code", "")))
            why = _reason(row, found, everything)
            if why or found is None:
                left_out[why] = left_out.get(why, 0) + 1
                continue
            name = _group(file, row, by, several=len(files) > 1)
            groups.setdefault(name, {}).setdefault(problem, []).append(found)
    if not groups:
        reasons = ", ".join(f"{n} {why}" for why, n in left_out.items()) or "no rows match"
        raise DataError(f"no program to measure ({reasons}): see --all and --where")
    first = next(iter(groups.values()))
    table = tuple(_measured(name, found, first) for name, found in groups.items())
    return QualityTable(groups=table, left_out=left_out)


def _programs(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The programs of a file, each with its problem's id."""
    for place, row in read_rows(file, dict[str, Any]):
        problem = problem_id_of(row, place)
        nested = row.get("candidates")
        for program in nested if isinstance(nested, list) else [row]:
            yield problem, program


def _reason(row: Mapping[str, Any], found: Quality | None, everything: bool) -> str:
    """Why a program does not count; empty: it does."""
    if not everything and row.get("passed") is None:
        return "without a verdict (`passed`)"
    if not everything and not row["passed"]:
        return "that fail"
    return "that do not parse" if found is None else ""


def _group(file: Path, row: Mapping[str, Any], by: str, *, several: bool) -> str:
    if by and by not in row:
        raise ConfigError(f"{file}: a program without the field {by!r}: it has {', '.join(row)}")
    if not by:
        return stem(file)
    return f"{stem(file)} {row[by]}" if several else str(row[by])


def _measured(name: str, found: _Programs, first: _Programs) -> GroupQuality:
    shared = [problem for problem in first if problem in found]
    return GroupQuality(
        name=name,
        problems=len(found),
        programs=sum(map(len, found.values())),
        means={measure: _mean(_by_problem(found, measure).values()) for measure in MEASURES},
        problems_in_common=len(shared),
        differences={} if found is first else dict(_paired(found, first, shared)),
    )


def _mean(values: Collection[float]) -> float | None:
    return fmean(values) if values else None


def _by_problem(found: _Programs, measure: str) -> dict[str, float]:
    """The mean of a measure over a problem's programs, where some have it."""
    values = {
        problem: [v for q in programs if (v := getattr(q, measure)) is not None]
        for problem, programs in found.items()
    }
    return {problem: fmean(known) for problem, known in values.items() if known}


def _paired(
    found: _Programs, first: _Programs, shared: Sequence[str]
) -> Iterator[tuple[str, Interval]]:
    for measure in MEASURES:
        ours, theirs = (_by_problem(group, measure) for group in (found, first))
        rows = [[theirs[p], ours[p]] for p in shared if p in ours and p in theirs]
        if len(rows) < _LEAST:
            continue
        steps = {our - their for their, our in rows}
        if len(steps) == 1:
            (step,) = steps
            yield measure, Interval(step, step, step)
        else:
            yield measure, paired_bootstrap(rows, 0)[1]


_LEAST = 10
"""Problems in common from which on an interval is given."""


# --- text ------------------------------------------------------------------------------------


def _plain(group: GroupQuality) -> dict[str, Json]:
    differences = {name: interval._asdict() for name, interval in group.differences.items()}
    return {
        "name": group.name,
        "problems": group.problems,
        "programs": group.programs,
        "means": dict(group.means),
        "problems_in_common": group.problems_in_common,
        "differences": differences,
    }


def _means(groups: Sequence[GroupQuality]) -> str:
    rows = [
        [g.name, str(g.problems), str(g.programs), *(_number(g.means[m]) for m in MEASURES)]
        for g in groups
    ]
    return _table(["", "problems", "programs", *MEASURES], rows)


def _differences(groups: Sequence[GroupQuality]) -> str:
    rows = [
        [group.name, str(group.problems_in_common), *(_interval(group, m) for m in MEASURES)]
        for group in groups[1:]
    ]
    return _table(["", "problems", *MEASURES], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _interval(group: GroupQuality, measure: str) -> str:
    found = group.differences.get(measure)
    if found is None:
        return "-"
    if found.low == found.high:
        return f"{found.estimate:+.2f} ="
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = Table(box=None, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    buffer = io.StringIO()
    Console(file=buffer, width=1000, color_system=None, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
