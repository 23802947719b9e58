"""What will a run take? What `funprm plan` says: a pilot's problems, scaled to all of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from funprm.commands.amounts import COMPLETIONS, DISK, JUDGED, PROGRAMS, measured, total
from funprm.commands.pilot import STAGES, Rate, chosen, pilot_config, run_pilot, stored_rates
from funprm.commands.problems import Chosen
from funprm.config import RunConfig
from funprm.errors import ConfigError, StoreError
from funprm.evaluation.statistics import Interval
from funprm.interfaces import Progress
from funprm.pipeline.run import Run
from funprm.records import Json, Problem
from funprm.registry import build
from funprm.report.wording import duration
from funprm.store import encode_line, read_records

_MAKES = {"generate": PROGRAMS, "rollout": COMPLETIONS, "execute": JUDGED}


@dataclass(frozen=True, kw_only=True)
class Work:
    """A stage: what it has to do, and how fast it did that in the pilot."""

    stage: str
    results: Interval
    per_second: float

    @property
    def seconds(self) -> float:
        """At the pilot's rate."""
        return self.results.estimate / self.per_second


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will take."""

    splits: Mapping[str, int]
    """Numbers of problems."""
    pilot: int
    """Problems of the pilot; 0: there was none."""
    amounts: Mapping[str, Interval]
    """By what is counted."""
    work: Sequence[Work]
    notes: Sequence[str]

    def json(self) -> Json:
        """For machines."""
        return {
            "problems": dict(self.splits),
            "pilot": self.pilot,
            "amounts": {name: amount._asdict() for name, amount in self.amounts.items()},
            "stages": {
                work.stage: {"per_second": work.per_second, "seconds": work.seconds}
                for work in self.work
            },
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """For people."""
        shown = ", ".join(f"{count:,} {split}" for split, count in self.splits.items())
        source = f"from a pilot of {self.pilot}" if self.pilot else "without a pilot"
        lines = [f"{sum(self.splits.values()):,} problems ({shown}), {source}"]
        for name, (value, low, high) in self.amounts.items():
            interval = f"   {_number(low)} to {_number(high)}" if high > low else ""
            lines.append(f"{name:<30}{_number(value):>14}{interval}")
        for work in self.work:
            rate = f"{_number(work.per_second)} {_MAKES[work.stage]} a second"
            lines.append(f"{'time of ' + work.stage:<30}{duration(work.seconds):>14}   {rate}")
        return "\n".join([*lines, *self.notes])


def plan(config: RunConfig, progress: Progress, *, pilot: bool, per_split: int = 20) -> Plan:
    """What a run will take, as a pilot of it shows.

    Args:
        config: the run.
        progress: where the pilot shows how far it is.
        pilot: run one, or what is missing of it; False: use the one that lies there, if any.
        per_split: problems of the pilot, of each split.

    Raises:
        ConfigError: fewer than 2 problems are wanted: one shows no spread.
        StoreError: the pilot that lies there is of other problems, or not complete.
    """
    if per_split < 2:
        raise ConfigError(f"--problems {per_split}: expected 2 or more of each split")
    problems = list(build("datasets", config.dataset.name, config.dataset.options).load())
    splits = Counter(problem.split for problem in problems)
    folder = Path(pilot_config(config).output)
    if pilot:
        run_pilot(config, chosen(problems, per_split), progress)
    rates = stored_rates(folder)
    if not rates:
        count = float(len(problems) * config.generate.n)
        return Plan(
            splits=splits,
            pilot=0,
            amounts={PROGRAMS: Interval(count, count, count)},
            work=(),
            notes=["`--pilot` runs a few problems, and says what all of them take."],
        )
    known = {problem.problem_id for problem in read_records(folder / "problems.jsonl", Problem)}
    few = Chosen([p for p in chosen(problems, len(problems)) if p.problem_id in known])
    with Run(pilot_config(config), progress, few) as run:
        if not STAGES[-1].complete(run):
            raise StoreError(
                f"the pilot in {folder} is of other data, or ended early: give --pilot"
            )
        models = len(config.models) + len(config.scorers)
        amounts = _amounts(run, models, problems, splits)
    work = _work(amounts, rates)
    notes = list(_notes(config, work, splits))
    return Plan(splits=splits, pilot=len(known), amounts=amounts, work=work, notes=notes)


def _amounts(
    run: Run, models: int, problems: Sequence[Problem], splits: Mapping[str, int]
) -> dict[str, Interval]:
    found = {
        name: total(splits, [(p.split, of.get(p.problem_id, 0.0)) for p in run.problems.values()])
        for name, of in measured(run, models).items()
    }
    known = sum(len(encode_line(problem)) for problem in problems) / 1e6
    found[DISK] = Interval(*(known + bound for bound in found.pop(DISK)))
    return {name: amount for name, amount in found.items() if amount.estimate}


def _work(amounts: Mapping[str, Interval], rates: Mapping[str, Rate]) -> list[Work]:
    return [
        Work(
            stage=stage,
            results=amounts[_MAKES[stage]],
            per_second=rate.results / max(rate.seconds, 1e-3),
        )
        for stage, rate in rates.items()
        if _MAKES[stage] in amounts
    ]


def _notes(config: RunConfig, work: Sequence[Work], splits: Mapping[str, int]) -> Iterator[str]:
    whole = sum(part.seconds for part in work)
    if whole:
        slowest = max(work, key=lambda part: part.seconds)
        yield (
            f"These take {duration(whole)} with the servers and the cores that the pilot had; "
            f"{slowest.seconds / whole:.0%} of it is {slowest.stage}."
        )
    reads = splits.get("train", 0) * config.generate.n
    if config.models:
        epochs = sum(model.epochs for model in config.models.values())
        yield (
            f"Not measured: training ({len(config.models)} models, {reads:,} programs, {epochs:g} "
            "epochs of all together), scoring, choosing and reporting."
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
