"""Finished outputs of other tools, judged and counted: what `funprm grade FILE...` does."""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from funprm.commands.judge import FileJudge, SuiteName, executor_of
from funprm.commands.judged import Judged
from funprm.commands.problems import Given, read_problems
from funprm.errors import ConfigError
from funprm.evaluation.significance import Resolution, holm, resolution
from funprm.evaluation.statistics import (
    Interval,
    McNemar,
    bootstrap,
    mcnemar,
    paired_bootstrap,
    pass_at_k,
)
from funprm.interfaces import Progress
from funprm.records import Json, ProgramVerdict, Status
from funprm.report import wording
from funprm.report.wording import adjusted, bounds, p_value, percent, points, won_lost
from funprm.row_files import read_rows, stem

_TRIES = (1, 5, 10, 100)
"""The k of pass@k where none is asked for: those of them that every problem has programs for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grade:
    """What a file's programs reach."""

    name: str
    problems: int
    """Problems with a judged program, over which means are taken."""
    programs: int
    """Judged programs."""
    pass_at: Mapping[int, Interval]
    """pass@k by k, with intervals over problems."""
    judged: Judged
    """What became of every row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How a file differs from the first one, on the problems that both have."""

    name: str
    problems: int
    difference: Interval
    """Of pass@1."""
    test: McNemar | None
    """Of problems solved by the one program; None: some have several programs."""
    adjusted: float | None
    """The test's p, adjusted for all files (`significance.holm`)."""
    resolution: Resolution | None
    """The smallest difference that these problems can show, where there is a test."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grades:
    """All files side by side."""

    benchmark: str
    grades: tuple[Grade, ...]
    differences: tuple[Difference, ...]

    @property
    def exit_code(self) -> int:
        """The worst of the files': 0 all were judged, 1 some were not, 2 none of a file."""
        return max(grade.judged.exit_code for grade in self.grades)

    def json(self) -> dict[str, Json]:
        """All of it."""
        rows = [{**_row(grade), "judged": grade.judged.json()} for grade in self.grades]
        differences = [asdict(difference) for difference in self.differences]
        return {"benchmark": self.benchmark, "files": rows, "differences": differences}

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The table, differences to the first file, and what was left out."""
        parts = [_table(self)]
        first, *others = (grade.name for grade in self.grades)
        told = {d.name: _told(d, first) for d in self.differences}
        parts += [told.get(o, f"{o} against {first}: no problem in common") for o in others]
        parts += [line for grade in self.grades for line in _left_out(grade)]
        return "\n".join(parts)


def grade(  # noqa: PLR0913  (most have defaults)
    problems: Given,
    files: Sequence[Path],
    *,
    out: Path | None = None,
    tries: Sequence[int] = (),
    suite: SuiteName = "hidden",
    warn: Callable[[str], object] = lambda line: None,
    progress: Progress,
) -> Grades:
    """Judge files of programs by a benchmark's tests, and compare them.

    Args:
        problems: the benchmark and the executor; see `problems.given`.
        files: outputs of LiveCodeBench's runner (also for its custom evaluator), EvalPlus,
            BigCodeBench, or programs of this package; the form is told by a row's fields.
        out: a folder for verdicts, with which an interrupted call goes on; None: they are not kept.
        tries: the k of pass@k; empty: 1, 5, 10 and 100, as far as there are programs.
        suite: which tests.
        warn: told in one line of what cannot be used.
        progress: shows how far it is.

    Raises:
        ConfigError: two files have the same name, or a k is wrong.
        InputError: as of `judge`.
        ExecutorError: the judge cannot work.
    """
    names = _names(files)
    if any(k < 1 for k in tries):
        raise ConfigError(f"pass@k for k in {list(tries)}: expected numbers of at least 1")
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    grades = []
    with _folder(out) as folder, executor_of(problems, warn) as executor:
        for file, name in zip(files, names, strict=True):
            verdicts = folder / f"{name}.verdicts.jsonl"
            judge = FileJudge(executor=executor, suite=suite, warn=warn, progress=progress)
            found = judge.judge(read_problems(problems), file, verdicts)
            counts[name] = _counted(verdicts)
            grades.append(_grade(name, counts[name], tries, found))
    return Grades(
        benchmark=problems.name,
        grades=tuple(grades),
        differences=tuple(_differences(names, counts)),
    )


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where verdicts go."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with TemporaryDirectory(prefix="funprm-") as scratch:
        yield Path(scratch)


def _names(files: Sequence[Path]) -> list[str]:
    """Short names that tell the files apart."""
    short = [stem(file) for file in files]
    names = short if len(set(short)) == len(short) else [file.name for file in files]
    if len(set(names)) < len(names):
        names = [str(file).strip("/").replace("/", "_") for file in files]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is given twice: give every file once")
    return names


def _counted(verdicts: Path) -> dict[str, tuple[int, int]]:
    """Judged programs of each problem, and how many of them passed."""
    judged: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for _, verdict in read_rows(verdicts, ProgramVerdict):
        if verdict.status is not Status.NOT_JUDGED:
            judged[verdict.problem_id] += 1
            passed[verdict.problem_id] += verdict.status is Status.PASSED
    return {problem: (judged[problem], passed[problem]) for problem in sorted(judged)}


def _grade(
    name: str, counts: Mapping[str, tuple[int, int]], tries: Sequence[int], judged: Judged
) -> Grade:
    fewest = min((n for n, _ in counts.values()), default=0)
    if tries and max(tries) > fewest:
        raise ConfigError(
            f"{name}: pass@{max(tries)} needs as many judged programs for every problem; one has "
            f"{fewest}"
        )
    wanted = tries or [k for k in _TRIES if k <= fewest]
    pass_at = {
        k: bootstrap([pass_at_k(n, c, k) for n, c in counts.values()])[0] for k in sorted(wanted)
    }
    programs = sum(n for n, _ in counts.values())
    return Grade(name=name, problems=len(counts), programs=programs, pass_at=pass_at, judged=judged)


def _differences(
    names: Sequence[str], counts: Mapping[str, Mapping[str, tuple[int, int]]]
) -> list[Difference]:
    """Each file against the first one, on their common problems."""
    first = counts[names[0]]
    found = []
    for name in names[1:]:
        other = counts[name]
        both = [problem for problem in first if problem in other]
        if not both:
            continue
        shares = [[c / n for n, c in (first[p], other[p])] for p in both]
        single = all(n == 1 for p in both for n, _ in (first[p], other[p]))
        ours, theirs = ([bool(row[side]) for row in shares] for side in (1, 0))
        test = mcnemar(ours, theirs) if single else None
        found.append(
            Difference(
                name=name,
                problems=len(both),
                difference=paired_bootstrap(shares, 0)[1],
                test=test,
                adjusted=None,
                resolution=_resolution(test, len(both)),
            )
        )
    return _adjusted(found)


def _resolution(test: McNemar | None, problems: int) -> Resolution | None:
    if test is None:
        return None
    return resolution(problems, (test.only_first + test.only_second) / problems)


def _adjusted(differences: Sequence[Difference]) -> list[Difference]:
    tested = [difference for difference in differences if difference.test]
    values = iter(holm([difference.test.p for difference in tested if difference.test]))
    return [replace(d, adjusted=next(values)) if d.test else d for d in differences]


# --- text ------------------------------------------------------------------------------------


def _row(grade: Grade) -> dict[str, Json]:
    pass_at = {str(k): interval._asdict() for k, interval in grade.pass_at.items()}
    counts = {"problems": grade.problems, "programs": grade.programs}
    return {"name": grade.name, **counts, "pass_at": pass_at}


def _table(grades: Grades) -> str:
    tries = sorted({k for grade in grades.grades for k in grade.pass_at})
    table = Table(box=None, pad_edge=False)
    table.add_column(grades.benchmark, no_wrap=True)
    for head in ("Problems", "Programs", *(f"pass@{k}" for k in tries)):
        table.add_column(head, justify="right", no_wrap=True)
    for grade in grades.grades:
        cells = [_share(grade.pass_at.get(k)) for k in tries]
        table.add_row(grade.name, str(grade.problems), str(grade.programs), *cells)
    buffer = io.StringIO()
    Console(file=buffer, width=1000, color_system=None, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def _share(interval: Interval | None) -> str:
    return "-" if interval is None else f"{percent(interval.estimate)} {bounds(interval)}"


def _told(difference: Difference, first: str) -> str:
    exact, test, holm_p = "", difference.test, difference.adjusted
    if test is not None:
        exact = f", won / lost {won_lost(test)}, p = {p_value(test)}"
    if test is not None and holm_p is not None and holm_p > test.p:
        exact += f" ({adjusted(holm_p)} for all files, Holm)"
    if difference.resolution is not None:
        exact += f"; {wording.resolution(difference.resolution, 'the two')}"
    return (
        f"{difference.name} against {first}: {points(difference.difference.estimate)} "
        f"{bounds(difference.difference, signed=True)} on {difference.problems} problems{exact}"
    )


def _left_out(grade: Grade) -> list[str]:
    """What does not count in a file's row, and why."""
    judged = grade.judged
    parts = [f"{count} programs {reason}" for reason, count in judged.reasons.items()]
    if judged.repeated:
        parts.append(f"{judged.repeated} repeated rows (the same program under the same key)")
    if judged.unreadable:
        parts.append(f"{judged.unreadable} unreadable rows")
    if judged.without_programs:
        parts.append(f"{len(judged.without_programs)} problems without a program")
    return [f"{grade.name}: left out: {', '.join(parts)}"] if parts else []
