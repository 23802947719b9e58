"""A few problems of a run, to learn what the whole will take: what `funprm plan --pilot` runs.

The pilot is a run of the same configuration in a folder of its own, so nothing of it is lost: its
keys are those of the whole run, which can take its records over (`funprm merge`). It goes through
the stages twice, first with one problem of each split: models are then loaded and judges started,
so that the second time shows how fast the stages work.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from funprm import registry
from funprm.commands.problems import Chosen
from funprm.config import RunConfig
from funprm.interfaces import Progress
from funprm.pipeline.judging import execute, reward
from funprm.pipeline.loading import load
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import generate, rollout, segment
from funprm.pipeline.stage import Stage
from funprm.records import Problem, key_of
from funprm.store import read_records, write_records

STAGES = (load, generate, segment, rollout, execute, reward)
MEASURED = {"generate": "generations", "rollout": "rollouts", "execute": "verdicts"}
"""The stages whose speed is measured, and the files that they lengthen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """How fast a stage worked in a pilot; stored in `rates.jsonl`."""

    stage: str
    results: int
    """Programs, completions or verdicts."""
    seconds: float


def pilot_config(config: RunConfig) -> RunConfig:
    """The pilot's run: of the same settings, in a folder inside the run's own."""
    return replace(config, output=str(Path(config.output) / "pilot"), models={})


def chosen(problems: Sequence[Problem], per_split: int) -> list[Problem]:
    """Some problems of each split, in an order that has nothing to do with what they are."""
    found: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda p: key_of("pilot", p.problem_id)):
        found.setdefault(problem.split, []).append(problem)
    return [problem for several in found.values() for problem in several[:per_split]]


def run_pilot(config: RunConfig, problems: Sequence[Problem], progress: Progress) -> Path:
    """Run a pilot, or what is missing of it; its folder, where its rates are."""
    config = pilot_config(config)
    policy, completer = (
        registry.build("policies", part.name, part.options) if part else None
        for part in (config.needed_policy(), config.completer)
    )
    executor = registry.build("executors", config.executor.name, config.executor.options)
    rates: list[Rate] = []
    try:
        for few in (chosen(problems, 1), problems):
            run = Run(config, progress, Chosen(few), policy)
            try:
                run.executor = executor
                if completer is not None:
                    run.completer = completer
                rates = [_timed(run, stage) for stage in STAGES]
            finally:
                run.folder.close()
    finally:
        executor.close()
    folder = Path(config.output)
    known = stored_rates(folder) | {rate.stage: rate for rate in rates if rate.results}
    write_records(folder / "rates.jsonl", known.values())
    return folder


def _timed(run: Run, stage: Stage) -> Rate:
    """Do a stage; how fast."""
    file = run.folder.path / f"{MEASURED.get(stage.name, '')}.jsonl"
    before, started = _lines(file), time.monotonic()
    stage(run)
    seconds = time.monotonic() - started
    return Rate(stage=stage.name, results=_lines(file) - before, seconds=seconds)


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def stored_rates(folder: Path) -> dict[str, Rate]:
    """The rates of a pilot, by stage; empty: there is none."""
    return {rate.stage: rate for rate in read_records(folder / "rates.jsonl", Rate)}
