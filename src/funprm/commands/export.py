"""A run's programs and rewards in the forms of other tools: what `funprm export` does."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import cast

from funprm.datasets._split import check_split
from funprm.errors import ConfigError, DataError, nearest
from funprm.formats import livecodebench, samples, stepwise
from funprm.formats.programs import Graded
from funprm.pipeline.judging import VerdictIndex, execute, reward
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import generate
from funprm.pipeline.selecting import select
from funprm.pipeline.training import corrected_rewards, labelled_programs, train
from funprm.records import Generation, Json, LabelledProgram, Problem, Split, Status
from funprm.row_files import ending, write_rows

FORMATS = {
    "livecodebench": (".json",),
    "livecodebench-custom": (".json",),
    "bigcodebench": (".jsonl", ".parquet"),
    "evalplus": (".jsonl", ".parquet"),
    "stepwise": (".jsonl", ".json", ".parquet"),
    "programs": (".jsonl", ".json", ".parquet"),
}
"""Endings of the files of each format (`.gz` may follow those of JSON)."""

Pools = Iterable[tuple[Problem, list[Graded]]]
Rows = Iterator[dict[str, Json]]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be exported.

    Raises:
        ConfigError: the format, or its file's ending, is none.
    """

    format: str
    out: Path
    split: str = ""
    """Problems of which split; empty: train for `stepwise`, else test."""
    selector: str = ""
    """Only the program that this selector chose, one per problem; empty: all programs."""
    model: str = ""
    """For `stepwise`: the rewards that this model corrected; empty: as measured."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"unknown format {self.format!r}: {nearest(self.format, FORMATS)}")
        if ending(self.out) not in FORMATS[self.format]:
            raise ConfigError(
                f"{str(self.out)!r}: files of format {self.format!r} end in "
                f"{' or '.join(FORMATS[self.format])}"
            )
        if self.split:
            check_split(self.split)
        if self.model and self.format != "stepwise":
            raise ConfigError("--model is for the format 'stepwise' only: it names its labels")
        if self.selector and self.format == "stepwise":
            raise ConfigError("--selector chooses programs: the format 'stepwise' takes all")

    @property
    def of_split(self) -> Split:
        """The split whose problems are exported."""
        default: Split = "train" if self.format == "stepwise" else "test"
        return cast(Split, self.split) if self.split else default


def export(run: Run, asked: Wanted) -> dict[str, int]:
    """Write one file.

    Returns:
        `rows` written, and programs `left_out`: LiveCodeBench's form has no place for those that
        could not be judged.

    Raises:
        StoreError: a stage that is needed is not complete, or the file cannot be written.
        DataError: there is nothing to export.
        ConfigError: the run has no such selector or model.
    """
    left_out: list[Generation] = []
    if asked.format == "stepwise":
        rows: Rows = stepwise.rows(_labelled(run, asked), _label(run, asked.model))
    else:
        rows = iter(_ROWS[asked.format](_pools(run, asked, left_out)))
    first = list(islice(rows, 1))
    if not first:
        what = "step that was measured" if asked.format == "stepwise" else "program"
        raise DataError(f"split {asked.of_split!r} has no {what}: nothing to export")
    return {"rows": write_rows(asked.out, chain(first, rows)), "left_out": len(left_out)}


def _labelled(run: Run, asked: Wanted) -> list[LabelledProgram]:
    reward.require(run)
    return labelled_programs(run, asked.of_split)


def _label(run: Run, model: str) -> stepwise.Label:
    if not model:
        return stepwise.measured
    train.require(run)
    if model not in run.config.models:
        hint = nearest(model, run.config.models) if run.config.models else "there are no models"
        raise ConfigError(f"no model {model!r} in [models]; {hint}")
    rewards = corrected_rewards(run, model)
    if not rewards:
        raise ConfigError(
            f"model {model!r} corrects no rewards (it learns from "
            f"{run.config.models[model].summary}): name one with a correction, or leave out --model"
        )
    return stepwise.corrected(rewards)


def _pools(run: Run, asked: Wanted, left_out: list[Generation]) -> Pools:
    """Problems with their programs; those that must be judged and are not go to `left_out`."""
    needs_verdicts = asked.format == "livecodebench"
    (execute if needs_verdicts else generate).require(run)
    chosen = _chosen(run, asked.selector) if asked.selector else None
    judge = _judge(run)
    pools: dict[str, list[Graded]] = {}
    for generation in run.of_split(asked.of_split):
        if chosen is not None and generation.key not in chosen:
            continue
        graded = Graded(generation=generation, status=judge(generation))
        if needs_verdicts and graded.status is Status.NOT_JUDGED:
            left_out.append(generation)
        else:
            pools.setdefault(generation.problem_id, []).append(graded)
    return ((run.problems[problem_id], programs) for problem_id, programs in pools.items())


def _judge(run: Run) -> Callable[[Generation], Status]:
    """How programs were judged; all `not judged` before the stage `execute` is complete."""
    if not execute.complete(run):
        return lambda _: Status.NOT_JUDGED
    verdict_index = VerdictIndex(run)

    def status(generation: Generation) -> Status:
        verdict = verdict_index.verdict(
            run.problems[generation.problem_id], "hidden", generation.code
        )
        return verdict.status if verdict else Status.NOT_JUDGED

    return status


def _chosen(run: Run, selector: str) -> set[str]:
    select.require(run)
    names = {choice.selector for choice in run.selections}
    if selector not in names:
        raise ConfigError(f"the run has no selector {selector!r}: {nearest(selector, names)}")
    return {choice.generation for choice in run.selections if choice.selector == selector}


def _sorted(pools: Pools) -> Pools:
    """By id, as LiveCodeBench sorts: its evaluator goes by position."""
    return sorted(pools, key=lambda pool: pool[0].problem_id)


def _programs(pools: Pools) -> Iterator[dict[str, Json]]:
    """One row per program with what is known of it."""
    for problem, programs in pools:
        for program in programs:
            made = program.generation
            judged = program.status is not Status.NOT_JUDGED
            yield {
                "problem_id": problem.problem_id,
                "split": problem.split,
                "platform": problem.platform,
                "difficulty": problem.difficulty,
                "date": problem.date,
                "index": made.index,
                "policy": made.policy,
                "code": made.code,
                "status": program.status.value,
                "passed": program.status is Status.PASSED if judged else None,
                "prompt_tokens": made.prompt_tokens,
                "completion_tokens": made.completion_tokens,
            }


def _samples(pools: Pools) -> Iterator[dict[str, Json]]:
    for problem, programs in pools:
        yield from samples.samples(problem, programs)


def _each(row: Callable[[Problem, Sequence[Graded]], dict[str, Json]]) -> Callable[[Pools], Rows]:
    return lambda pools: (row(problem, programs) for problem, programs in _sorted(pools))


_ROWS: dict[str, Callable[[Pools], Rows]] = {
    "livecodebench": _each(livecodebench.evaluated),
    "livecodebench-custom": _each(livecodebench.custom),
    "bigcodebench": _samples,
    "evalplus": _samples,
    "programs": _programs,
}
