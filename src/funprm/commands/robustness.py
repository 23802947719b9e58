"""How far scores move when programs are edited without changing what they do.

What `funprm check-scorer RUN.toml` does: for the models and scorers of a run, on its candidates.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from statistics import fmean

from rich.console import Console
from rich.table import Table

from funprm.config import RunConfig
from funprm.errors import ConfigError, DataError
from funprm.evaluation.aggregation import aggregator
from funprm.evaluation.edits import EDITS, Edit
from funprm.evaluation.statistics import Interval, paired_bootstrap
from funprm.interfaces import Progress, Scorer
from funprm.pipeline.judging import VerdictIndex, reward
from funprm.pipeline.run import Run
from funprm.pipeline.scoring import aggregator_of, scorers_of
from funprm.pipeline.training import labelled_program, train
from funprm.records import Json, LabelledProgram
from funprm.report.wording import bounds, model_label, percent, points
from funprm.steps import find_steps, step_texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """What one edit does to the scores of one scorer."""

    scorer: str
    edit: str
    programs: int
    """Programs that the edit changes, and that have a score before and after."""
    shift: Interval | None
    """Mean score after minus before, over problems, in [-1, 1]; None: too few problems."""
    distance: float
    """Mean absolute difference."""
    pairs: int
    """Pairs of a right and an edited wrong program of one problem, the right one scored higher."""
    overtaken: float | None
    """Share of these pairs in which the edited wrong one gets ahead; None: there are no pairs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Robustness:
    """All scorers under all edits."""

    problems: int
    programs: int
    rows: tuple[Moved, ...]

    def json(self) -> dict[str, Json]:
        """All of it."""
        rows = [
            {**asdict(row), "shift": row.shift._asdict() if row.shift else None}
            for row in self.rows
        ]
        return {"problems": self.problems, "programs": self.programs, "rows": rows}

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """A table, and what its columns mean."""
        table = Table(box=None, pad_edge=False)
        table.add_column("Scorer", no_wrap=True)
        table.add_column("Edit", no_wrap=True)
        for head in ("Programs", "Shift", "Distance", "Overtaken"):
            table.add_column(head, justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*_cells(row))
        buffer = io.StringIO()
        Console(file=buffer, width=1000, color_system=None, highlight=False).print(table)
        lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
        return "\n".join(
            [*lines, "", f"{self.programs} programs of {self.problems} problems.", *_KEY]
        )


_KEY = (
    "Shift: mean score after the edit minus before, in points of 100, with its 95 % interval.",
    "Distance: mean absolute difference, in points.",
    "Overtaken: where a right program was scored above a wrong one, how often editing the wrong "
    "one turns that round, in %.",
)


def robustness(
    config: RunConfig, progress: Progress, *, programs: int = 200, edits: Sequence[str] = ()
) -> Robustness:
    """Edit candidates of a run, and score them again.

    Args:
        config: of a run whose programs are judged and whose models are trained.
        progress: shows how far it is.
        programs: at most about so many, of whole problems drawn by the run's seed.
        edits: names in `evaluation.edits.EDITS`; empty: all.

    Raises:
        StoreError: the run is not as far.
        ConfigError: an unknown edit, or a run without models and scorers.
        DataError: no candidate was judged.
    """
    unknown = sorted(set(edits) - set(EDITS))
    if unknown:
        raise ConfigError(f"unknown edit {unknown[0]!r}: known are: {', '.join(EDITS)}")
    if not config.models and not config.scorers:
        raise ConfigError("the run has no models and no scorers: nothing to check")
    with Run(config, progress) as run:
        (train if config.models else reward).require(run)
        pool = _pool(run, programs)
        chosen = {name: EDITS[name] for name in edits or EDITS}
        progress.start("edits", len(chosen) * (len(config.models) + len(config.scorers)))
        rows = [
            row
            for name, scorer in scorers_of(run)
            for row in _rows(name, scorer, aggregator(aggregator_of(run, name)), pool, chosen, run)
        ]
        progress.finish(f"{len(pool)} programs under {len(chosen)} edits")
    problems = len({item.program.problem_id for item in pool})
    return Robustness(problems=problems, programs=len(pool), rows=tuple(rows))


@dataclass(frozen=True, slots=True)
class _Judged:
    program: LabelledProgram
    passed: bool
    entry_point: str


def _pool(run: Run, most: int) -> list[_Judged]:
    """Judged candidates of some problems, each program of a problem once."""
    verdicts = VerdictIndex(run)
    found: dict[str, dict[str, _Judged]] = {}
    for generation in run.of_split("test"):
        problem = run.problems[generation.problem_id]
        verdict = verdicts.verdict(problem, "hidden", generation.code)
        if verdict is not None and verdict.passed is not None:
            item = _Judged(
                labelled_program(run, generation), verdict.passed, problem.hidden.entry_point
            )
            found.setdefault(problem.problem_id, {})[generation.code] = item
    names = sorted(found)
    Random(run.config.seed).shuffle(names)
    pool: list[_Judged] = []
    for name in names:
        if len(pool) >= most:
            break
        pool += found[name].values()
    if not pool:
        raise DataError("no candidate was judged: nothing to edit")
    return pool


def _rows(
    name: str,
    scorer: Scorer,
    read: Callable[[Sequence[float]], float],
    pool: Sequence[_Judged],
    edits: Mapping[str, Edit],
    run: Run,
) -> Iterator[Moved]:
    def scored(programs: Sequence[LabelledProgram]) -> list[float | None]:
        return [read(s) if s else None for s in scorer.score(programs)]

    before = scored([item.program for item in pool])
    for edit, change in edits.items():
        edited = [_edited(item, change, run.config.rollout.max_steps) for item in pool]
        places = [place for place, program in enumerate(edited) if program is not None]
        after = dict(zip(places, scored([p for p in edited if p is not None]), strict=True))
        yield _moved(name, edit, pool, before, after)
        run.progress.advance()


def _edited(item: _Judged, change: Edit, cap: int) -> LabelledProgram | None:
    """The program after an edit, cut anew; None where it leaves it as it is."""
    code = "".join(item.program.steps)
    changed = change(code, item.entry_point)
    if changed == code:
        return None
    steps = step_texts(changed, find_steps(changed, max_steps=cap)[0])
    return replace(item.program, steps=steps, prefixes=("",) * len(steps), k=(), n=(), rewards=None)


def _moved(
    name: str,
    edit: str,
    pool: Sequence[_Judged],
    before: Sequence[float | None],
    after: Mapping[int, float | None],
) -> Moved:
    pairs = [(i, b, a) for i, a in after.items() if a is not None and (b := before[i]) is not None]
    by_problem: dict[str, list[float]] = {}
    for i, b, a in pairs:
        by_problem.setdefault(pool[i].program.problem_id, []).append(a - b)
    means = [[0.0, fmean(moves)] for moves in by_problem.values()]
    won = [
        a > right
        for i, b, a in pairs
        if not pool[i].passed
        for j, right in enumerate(before)
        if pool[j].passed and right is not None and right > b
        and pool[j].program.problem_id == pool[i].program.problem_id
    ]  # fmt: skip
    return Moved(
        scorer=name,
        edit=edit,
        programs=len(pairs),
        shift=paired_bootstrap(means, 0)[1] if len(means) >= _LEAST else None,
        distance=fmean(abs(a - b) for _, b, a in pairs) if pairs else 0.0,
        pairs=len(won),
        overtaken=sum(won) / len(won) if won else None,
    )


_LEAST = 10
"""Problems from which on a shift is given."""


def _cells(row: Moved) -> Iterator[str]:
    yield model_label(row.scorer)
    yield row.edit
    yield str(row.programs)
    yield f"{points(row.shift.estimate)} [{bounds(row.shift, signed=True)}]" if row.shift else "-"
    yield f"{100 * row.distance:.1f}"
    yield f"{percent(row.overtaken)} of {row.pairs}" if row.pairs else "-"
