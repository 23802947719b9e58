"""One problem, N programs, one answer: what `funprm solve` and `funprm.solve` do.

It is a run of one problem that is in memory: the same stages, records and keys, so that answers
are stored the moment they arrive and the same command goes on where one was interrupted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from funprm.commands.opened import OpenedScorer
from funprm.commands.solution import Found, Judged, Solution
from funprm.config import ComponentConfig, RunConfig, load_config
from funprm.errors import ConfigError, ExecutorError, nearest
from funprm.evaluation.aggregation import AGGREGATORS, aggregator
from funprm.evaluation.selection import PUBLIC, Candidate, Selector, parse_selector
from funprm.interfaces import Policy, Progress
from funprm.pipeline.judging import VerdictIndex, judge_programs, judged, take_verdicts
from funprm.pipeline.loading import load
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import generate, segment
from funprm.pipeline.scoring import hand_scores, score_keys, score_with, scored
from funprm.pipeline.searching import search_of, searched
from funprm.pipeline.selecting import candidates_of, choice
from funprm.pipeline.stage import Grown, Stage
from funprm.python_source import parsed
from funprm.records import Generation, Json, Problem, Score, key_of

_DEFAULTS: Mapping[str, Any] = {"policy": {"name": "huggingface"}}
_HOW = {
    "score": "by the reward model",
    "majority": "by majority of outputs",
    "self_certainty": "by self-certainty",
    "likelihood": "by likelihood",
    "random": "at random",
}


@dataclass(frozen=True)
class _Given:
    """A data set of one problem."""

    problem: Problem

    def identity(self) -> Mapping[str, Json]:
        return {"problem": key_of(asdict(self.problem))}

    def load(self) -> Iterator[Problem]:
        yield self.problem


def solve_config(
    path: Path | None, output: str, problem: Problem, overrides: Mapping[str, Any]
) -> RunConfig:
    """The settings of a run that solves one problem.

    Of the file count policy, executor, `generate`, `rollout.max_steps` (a reward model's own goes
    before it), `select.aggregator` and seed; without one the policy is the shipped tiny model.

    Raises:
        InputError: the file is missing, or a setting is wrong (ConfigError).
    """
    given = {
        "output": output,
        "title": "funprm solve",
        "dataset": {"name": "statement", "problem": problem.key},
        "rollout.k": 0,
        "models": {},
        "scorers": {},
    }
    config = load_config(path, {**overrides, **given}, _DEFAULTS)
    aggregator(config.select.aggregator)
    return config


def scorer_named(name: str, path: Path | None, overrides: Mapping[str, Any]) -> ComponentConfig:
    """The settings of a scorer in the table `[scorers]` of a run's file.

    Raises:
        InputError: the file is missing, or (ConfigError) has no such scorer.
    """
    config = load_config(path, {**overrides, "output": "", "dataset": {"name": ""}}, _DEFAULTS)
    if name not in config.scorers:
        hint = nearest(name, config.scorers) if config.scorers else "it has no table [scorers]"
        where = f"{path}: {hint}" if path else f"give --config FILE with a table [scorers.{name}]"
        raise ConfigError(f"no scorer {name!r}: {where}")
    return config.scorers[name]


def sample(
    config: RunConfig, problem: Problem, progress: Progress, policy: Policy
) -> tuple[list[Generation], tuple[str, ...]]:
    """Sample programs for a problem, those that a run with the same seed samples.

    Returns:
        The programs, and phrases that say what could not be had.

    Raises:
        PolicyError: some programs could not be had; what was answered is stored.
    """
    with _run(config, problem, progress, policy) as run:
        load(run)
        generate(run)
        return list(run.generations.values()), run.outcomes["generate"].missing


def _run(config: RunConfig, problem: Problem, progress: Progress, policy: Policy | None) -> Run:
    if policy is not None:
        config = replace(config, policy=None)
    return Run(config, progress, _Given(replace(problem, split="test")), policy)


def solve(
    config: RunConfig,
    problem: Problem,
    progress: Progress,
    model: "OpenedScorer | None" = None,
    policy: Policy | None = None,
) -> Solution:
    """Sample programs for a problem, judge and score them, and select one.

    Args:
        config: as `solve_config` makes it.
        problem: what is to be solved; its public suite filters the programs.
        progress: where stages show how far they are.
        model: what scores programs; None: nothing does.
        policy: writes the programs, in place of the settings' one.

    Raises:
        PolicyError: some programs could not be had; what was answered is stored.
        ExecutorError: the tests could not be run.
    """
    if model:
        config = model.cut(config, progress)
    with _run(config, problem, progress, policy) as run:
        write = _search_stage(config, model) or generate
        for stage in (load, write, segment):
            stage(run)
        run.rollouts, run.verdicts, run.scores = {}, {}, {}
        if problem.public or problem.probe:
            execute(run)
        if model:
            _score_stage(model)(run)
        return _solution(run, problem, model)


execute = Stage(
    name="execute",
    after=segment,
    work=judge_programs,
    take=take_verdicts,
    tell=judged,
    settings=lambda run: dict(run.executor.identity()),
    tries_again=True,
)
"""Judges programs where no prefix is completed."""


def _search_stage(config: RunConfig, model: OpenedScorer | None) -> Stage | None:
    """The stage that finds the programs by a search, where the settings name one."""
    search = search_of(config)
    if search is None:
        return None
    scorer = model.scorer if model else None
    return searched(search, scorer, max_steps=config.rollout.max_steps)


def _score_stage(model: OpenedScorer) -> Stage:
    """Scores of all programs by one model; an output folder may see several."""

    def plan(run: Run) -> Iterator[tuple[str, str]]:
        generations = list(run.generations.values())
        keys = score_keys(run, model.name, model.scorer.identity(), generations)
        return zip(keys, (g.problem_id for g in generations), strict=True)

    def work(run: Run) -> None:
        generations = list(run.generations.values())
        run.progress.start("score", len(generations))
        score_with(run, model.name, model.scorer, generations)

    take = Grown(file="scores", kind=Score, plan=plan, hand=hand_scores)
    return Stage(
        name="score",
        after=segment,
        work=work,
        take=take,
        tell=scored,
        settings=lambda run: model.name,
    )


def _solution(run: Run, problem: Problem, model: OpenedScorer | None) -> Solution:
    everyone = candidates_of(run).get(problem.problem_id, [])
    usable = [c for c in everyone if parsed(c.code).body]
    if not usable:
        summary = f"none of {len(everyone)} answers holds a program"
        listed = _ranked(run, everyone, None, model)
        return Solution(found="none", code="", selector="", summary=summary, candidates=listed)
    _require_verdicts(run, problem, usable)
    best = f"score:{model.name}" if model else best_without_model(usable)
    name = f"{PUBLIC}+{best}" if problem.public else best
    selector = parse_selector(name, AGGREGATORS, default=_aggregator(run, model))
    item = choice(run, selector, problem.problem_id, usable)
    run.folder.write("selections", [item])
    chosen = next(c for c in usable if c.generation == item.generation)
    ranked = _ranked(run, everyone, chosen, model)
    return Solution(
        found=_found(chosen, problem),
        code=chosen.code,
        selector=name,
        summary=_summary(problem, ranked, _how(selector, usable, ranked[0])),
        candidates=ranked,
    )


def _require_verdicts(run: Run, problem: Problem, usable: Sequence[Candidate]) -> None:
    """Refuse to call programs untested where the judge failed."""
    if problem.public is None or any(c.public_passed is not None for c in usable):
        return
    verdict = VerdictIndex(run).verdict(problem, "public", usable[0].code)
    detail = verdict.detail if verdict else "no verdict"
    raise ExecutorError(f"the programs could not be judged by the tests: {detail}")


def _aggregator(run: Run, model: OpenedScorer | None) -> str:
    wanted = run.config.select.aggregator
    return model.aggregator_for(wanted) if model else wanted


def best_without_model(candidates: Sequence[Candidate]) -> str:
    """The best selector that there is information for."""
    if any(any(c.outputs or ()) for c in candidates):
        return "majority"
    if any(c.self_certainty is not None for c in candidates):
        return "self_certainty"
    return "likelihood" if any(c.logprob_tokens for c in candidates) else "random"


def _found(chosen: Candidate, problem: Problem) -> Found:
    if problem.public is None:
        return "untested"
    return "passes" if chosen.public_passed == 1 else "fails"


def _how(selector: Selector, usable: Sequence[Candidate], chosen: Judged) -> str:
    """How the program was chosen; the reward model's score shows how little it may mean."""
    base = selector.name.removeprefix(f"{PUBLIC}+").partition(":")[0]
    how = _HOW[base if selector.informed(usable) else "random"]
    score = "" if chosen.score is None else f" (score {chosen.score:.2f})"
    missing = "" if base == "score" else "no reward model given (--prm FOLDER); "
    return f"{missing}chosen {how}{score}"


def _summary(problem: Problem, ranked: Sequence[Judged], how: str) -> str:
    """How the program was chosen, and what is known of it; the chosen one is the first."""
    if problem.public is None:
        return f"{how} from {len(ranked)} programs; no tests given"
    total = len(problem.public.cases) or 1
    tests = "the test" if total == 1 else f"all {total} tests"
    good = sum(c.tests == 1 for c in ranked)
    if good:
        return f"{how} from the {good} of {len(ranked)} programs that pass {tests}"
    share = round((ranked[0].tests or 0) * total)
    return (
        f"{how} from those that pass most ({share} of {total}); "
        f"none of {len(ranked)} programs passes {tests}"
    )


def _ranked(
    run: Run, everyone: Sequence[Candidate], chosen: Candidate | None, model: OpenedScorer | None
) -> tuple[Judged, ...]:
    found = [_judged(run, c, c is chosen, model) for c in everyone]
    return tuple(
        sorted(found, key=lambda j: (not j.chosen, -(j.tests or 0), -_or_least(j.score), j.index))
    )


def _or_least(score: float | None) -> float:
    return -float("inf") if score is None else score


def _judged(run: Run, candidate: Candidate, chosen: bool, model: OpenedScorer | None) -> Judged:
    scores = candidate.scores.get(model.name, ()) if model else ()
    names = run.steps[candidate.generation].names
    # One score alone is that of the complete program: it stands at the last step.
    known = [*[None] * (len(names) - len(scores)), *scores]
    return Judged(
        index=candidate.index,
        chosen=chosen,
        code=candidate.code,
        finish=run.generations[candidate.generation].finish,
        tests=candidate.public_passed,
        score=aggregator(_aggregator(run, model))(scores) if scores else None,
        functions=tuple(zip(names, known, strict=True)),
    )
