"""Reward models: the stages that train them and score every candidate."""

import json
from collections.abc import Iterable
from pathlib import Path

from funprm.interfaces import Scorer
from funprm.pipeline.run import Outcome, Run, settings_of, stage
from funprm.pipeline.sampling import prefix_key
from funprm.prompts import render_statement
from funprm.records import Generation, LabelledProgram, Reward, Score, Split, key_of
from funprm.steps import step_texts


def model_folder(run: Run, name: str) -> Path:
    """Where a reward model's checkpoint, curves and corrected rewards are."""
    return run.folder.path / "prm" / name


@stage("train", after="reward", settings=lambda run: settings_of(run.config)["models"])
def train(run: Run) -> Outcome:
    """Train every model of the configuration into `prm/<name>/`."""
    run.progress.start("train", 0)
    if not run.config.models:
        return Outcome(note="no models", facts={})
    from funprm.prm.data import TrainingData
    from funprm.prm.parallel import train_all

    data = TrainingData(
        train=labelled_programs(run, "train"),
        meta=labelled_programs(run, "meta"),
        validation=labelled_programs(run, "validation"),
        max_steps=run.config.rollout.max_steps,
    )
    results = train_all(
        run.config.models,
        data,
        run.folder.path / "prm",
        lambda event: run.progress.advance(int(event.get("advance", 0))),
    )
    facts = {name: {"step": r.best_step, **r.validation} for name, r in results.items()}
    return Outcome(note=f"{len(facts)} models: {', '.join(facts)}", facts=facts)


@stage("score", after="train")
def score(run: Run) -> Outcome:
    """Score every step of every test candidate with every model into `scores.jsonl`."""
    generations = run.of_split("test")
    run.progress.start("score", len(generations) * len(run.config.models))
    with run.file("scores", Score) as file:
        stored = {item.key for item in file}
        for name in run.config.models:
            from funprm.prm.scorer import PrmScorer

            scorer = PrmScorer(model_folder(run, name) / "model")
            file.append(*scores_of(run, name, scorer, generations, stored))
    run.forget("scores")
    unfit = sum(not item.scores for item in run.scores.values())
    return Outcome(
        note=f"{len(run.scores)} programs scored, {unfit} did not fit",
        facts={"scores": len(run.scores), "unfit": unfit},
    )


def scores_of(
    run: Run, model: str, scorer: Scorer, generations: list[Generation], stored: set[str]
) -> Iterable[Score]:
    """Scores of generations that are not stored yet; equal programs are scored once."""
    identity = dict(scorer.identity())
    keys = {g.key: key_of("score", 1, identity, g.key) for g in generations}
    wanted = [g for g in generations if keys[g.key] not in stored]
    distinct = {(g.problem_id, g.code): g for g in wanted}
    programs = [labelled_program(run, g) for g in distinct.values()]
    found = dict(zip(distinct, scorer.score(programs), strict=True))
    for generation in wanted:
        run.progress.advance()
        yield Score(
            key=keys[generation.key],
            model=model,
            generation=generation.key,
            scores=found[generation.problem_id, generation.code],
        )


def labelled_programs(run: Run, split: Split) -> list[LabelledProgram]:
    """The programs of a split with the evidence measured for their steps."""
    measured: dict[str, list[Reward]] = {}
    for item in run.rewards.values():
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
    """Corrected rewards by prefix key, where a model's mode corrects."""
    path = model_folder(run, model) / "corrected.jsonl"
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return {row["prefix"]: row["reward"] for row in rows}
