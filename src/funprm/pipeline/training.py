"""Reward models: the stage that trains them, and programs as they read them."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from funprm.disk import disk_errors, write_atomically
from funprm.pipeline.judging import reward
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import prefix_key
from funprm.pipeline.stage import Incomplete, Outcome, Record, Stage, Taken
from funprm.prompts import render_statement
from funprm.records import Generation, Json, LabelledProgram, Reward, Split, key_of
from funprm.steps import step_texts

if TYPE_CHECKING:
    from funprm.prm.training.data import TrainingData


_log = logging.getLogger(__name__)


def model_folder(run: Run, name: str) -> Path:
    """Where a reward model's checkpoint, curves and corrected rewards are."""
    return run.folder.path / "prm" / name


# --- train -----------------------------------------------------------------------------------


def training_keys(run: Run) -> dict[str, str]:
    """By model, what determines it: settings, labelled programs, the base model's files."""
    if run.wanted_models is None and run.config.models:
        from funprm.prm.training.identity import contents_of, training_key

        contents = contents_of(_training_data(run))
        run.wanted_models = {
            name: training_key(config, contents) for name, config in run.config.models.items()
        }
    return run.wanted_models or {}


def _training_data(run: Run) -> "TrainingData":
    from funprm.prm.training.data import TrainingData

    return TrainingData(
        train=labelled_programs(run, "train"),
        meta=labelled_programs(run, "meta"),
        validation=labelled_programs(run, "validation"),
        max_steps=run.config.rollout.max_steps,
    )


def _train(run: Run) -> None:
    """Train every model of the configuration into `prm/<name>/`."""
    run.progress.start("train", 0)
    if not run.config.models:
        return
    from funprm.prm.distributed import current
    from funprm.prm.training.side_by_side import train_all

    current().barrier()  # all have seen what lies there
    if run.folder.owned:
        with disk_errors(run.folder.path / "prm"):
            _set_aside(run, training_keys(run))
    current().barrier()
    train_all(
        run.config.models,
        _training_data(run),
        run.folder.path / "prm",
        lambda event: run.progress.advance(int(event.get("advance", 0))),
    )


def _set_aside(run: Run, wanted: Mapping[str, str]) -> None:
    """Move trainings of other settings or data out of the way, and bring back those wanted.

    Nothing that took hours is deleted: it lies in `prm/.earlier`.
    """
    earlier = run.folder.path / "prm" / ".earlier"
    for name, key in wanted.items():
        folder = model_folder(run, name)
        mark = folder / "key"
        found = (
            mark.read_text(encoding="ascii", errors="replace").strip()
            if mark.exists()
            else "unknown"
        )
        if folder.exists() and found != key:
            earlier.mkdir(parents=True, exist_ok=True)
            kept = folder.rename(_free_name(earlier / f"{name}-{found[:16]}"))
            _log.warning(
                "model %r was trained with other settings, data or version: it is kept in %s, and "
                "trained anew",
                name,
                kept,
            )
        if not folder.exists() and (kept := earlier / f"{name}-{key[:16]}").exists():
            kept.rename(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(mark, f"{key}\n".encode())


def _free_name(path: Path) -> Path:
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"{path.name}.{number}")
    return path


def _take_models(run: Run, noted: Record | None) -> Taken:
    """Trained models with the wanted keys; their results go to the run."""
    if noted is None and not run.config.models:
        raise Incomplete("it was not done")
    results: dict[str, Mapping[str, Json]] = {}
    for name, key in training_keys(run).items():
        from funprm.prm.training.identity import result_of

        stored = result_of(model_folder(run, name))
        if stored is None:
            raise Incomplete(f"model {name!r} is not trained to the end")
        if stored["key"] != key:
            raise Incomplete(f"model {name!r} was trained with other settings or data")
        results[name] = stored
    run.trained = results
    return Taken(digest=key_of({n: [r["key"], r["files"]] for n, r in results.items()}))


def _trained(run: Run) -> Outcome:
    facts = {
        name: {"step": r["best_step"], **(r["validation"] or {})} for name, r in run.trained.items()
    }
    missing = [
        f"{name}: {r['not_fitting']} programs do not fit its input"
        for name, r in run.trained.items()
        if r["not_fitting"]
    ]
    note = f"{len(facts)} models: {', '.join(facts)}" if facts else "no models"
    return Outcome(note=note, facts=facts, missing=tuple(missing))


train = Stage(
    name="train",
    after=reward,
    work=_train,
    take=_take_models,
    tell=_trained,
    settings=training_keys,
)
"""Trains every model of the configuration into `prm/<name>/`."""


# --- labelled programs -----------------------------------------------------------------------


def labelled_programs(run: Run, split: Split) -> list[LabelledProgram]:
    """The programs of a split with the evidence measured for their steps."""
    measured: dict[str, list[Reward]] = {}
    for item in run.rewards:
        measured.setdefault(item.generation, []).append(item)
    return [labelled_program(run, g, measured.get(g.key, ())) for g in run.of_split(split)]


def labelled_program(
    run: Run, generation: Generation, rewards: Iterable[Reward] = ()
) -> LabelledProgram:
    """A generation as the reward model reads it; steps without evidence have n = 0."""
    problem = run.problems[generation.problem_id]
    ends = run.steps[generation.key].ends
    k, n = [0] * len(ends), [0] * len(ends)
    for item in rewards:
        k[item.step], n[item.step] = item.k, item.n
    return LabelledProgram(
        generation=generation.key,
        problem_id=problem.problem_id,
        statement=render_statement(problem),
        steps=step_texts(generation.code, ends),
        prefixes=tuple(prefix_key(problem.problem_id, generation.code[:end]) for end in ends),
        k=tuple(k),
        n=tuple(n),
    )


def corrected_rewards(run: Run, model: str) -> dict[str, float]:
    """Corrected rewards by prefix key; empty where a model corrects none."""
    from funprm.prm.records import read_corrected

    found = read_corrected(model_folder(run, model))
    return {prefix: item.reward for prefix, item in found.items()}
