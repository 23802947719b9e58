"""Verbs on one problem: sample, judge, score, select, solve."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from funprm import registry
from funprm.api.glue import Settings, Shown, aside, folder_of, path_of, shown_by
from funprm.commands import one_problem
from funprm.commands import solve as solving
from funprm.commands.one_problem import (
    Judgement,
    P,
    ProcessRewardModel,
    Program,
    ProgramScorer,
    Scores,
)
from funprm.commands.solution import Solution
from funprm.datasets.single import with_probe
from funprm.errors import ConfigError
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Executor, Policy
from funprm.records import Generation, Problem
from funprm.steps import find_steps, step_texts

Rewarder = ProcessRewardModel | ProgramScorer | str | Path | None
"""What scores programs: a reward model, its folder, or a scorer of others."""


def sample(
    policy: Policy,
    problem: Problem,
    n: int = 8,
    *,
    seed: int = 0,
    output: str | Path | None = None,
    progress: Shown = False,
) -> list[Generation]:
    """Programs that a policy writes for a problem: with a seed the same as in a run.

    Args:
        policy: writes them.
        problem: what is asked; only its public tests are shown to the policy.
        n: how many.
        seed: another one gives other programs.
        output: a folder that keeps answers, so that an interrupted call goes on; None: none.
        progress: see the module.

    Returns:
        At most `n`, in the order of their numbers. Fewer, with a warning that says why, where the
        policy will never answer the rest (recorded programs).

    Raises:
        PolicyError: the policy cannot answer, or not all at present.
    """
    with folder_of(output) as folder, shown_by(progress) as shown:
        config = solving.solve_config(None, folder, problem, {"generate.n": n, "seed": seed})
        programs, missing = solving.sample(config, problem, shown, policy)
    if len(programs) < n:
        why = "; ".join(missing)
        warnings.warn(f"{len(programs)} programs in place of {n}: {why}", stacklevel=2)
    return programs


def judge(
    problem: Problem,
    programs: Sequence[Program],
    *,
    executor: Executor | None = None,
) -> list[Judgement]:
    """What the tests of a problem say of programs, which run in isolation from this machine.

    All tests that the problem has are run: `passed` is the verdict of its hidden tests (of the
    public ones where it has no others), `public_passed` the share of its public tests.

    Args:
        problem: with tests.
        programs: texts, or what `sample` returned.
        executor: one of one's own, which is not closed; None: a `LocalExecutor` for this call.

    Returns:
        One per program, in order.

    Raises:
        DataError: the problem has no tests.
        ExecutorError: this machine cannot isolate programs; `doctor()` says why.
    """
    if executor is not None:
        return one_problem.judge(problem, programs, executor)
    workers = max(1, min(len(programs), len(os.sched_getaffinity(0))))
    with LocalExecutor(workers=workers) as own:
        return one_problem.judge(problem, programs, own)


def load_prm(name: str | Path) -> ProcessRewardModel:
    """A trained reward model, whose `score(problem, programs)` scores every function.

    Args:
        name: a folder as training writes it (`runs/demo/prm/funprm/model`), or a hub name.

    Raises:
        ModelError: there is no such model, or it is none of this package.
        MissingPackageError: torch is not installed.
    """
    return ProcessRewardModel(name)


def load_scorer(name: str, **options: Any) -> ProgramScorer:  # noqa: ANN401  (any part's)
    """What scores programs in place of a trained model: a classifier, a served model, a judge.

    Args:
        name: of a part: `sequence_classifier`, `served`, `judge`, ..., or `module:Class`.
        options: its settings, as in a run's `[scorers]`.

    Raises:
        ConfigError: there is no such part, or a setting is wrong.
        MissingPackageError: the extra that it needs is not installed.
    """
    return ProgramScorer(registry.build("scorers", name, options), name)


def select(
    programs: Sequence[P],
    *,
    scores: Scores | None = None,
    verdicts: Sequence[Judgement] | None = None,
    by: str = "",
    seed: int = 0,
) -> P:
    r"""The best of some programs for one problem.

    >>> programs = ["def f(x):\n    return x\n", "def f(x):\n    return x + x\n"]
    >>> print(select(programs, scores=[[0.2], [0.9]], by="score"), end="")
    def f(x):
        return x + x

    Args:
        programs: texts, or what `sample` returned. Text that is no Python is chosen only where
            there is nothing else.
        scores: what `load_prm(...).score` returned, or numbers in [0, 1] per program.
        verdicts: what `judge` returned.
        by: a selector of docs/method.md; `score` (or `score:min`, ...) stands for the scores that
            are given. Empty: public tests where verdicts know some, then score, else majority,
            self-certainty, likelihood, chance.
        seed: breaks ties.

    Raises:
        DataError: what the selector needs is not given, or there are no programs.
        ConfigError: an unknown selector.
    """
    return one_problem.select(programs, scores, verdicts, by, seed)


def solve(  # noqa: PLR0913  (all but the problem have defaults)
    problem: Problem,
    *,
    policy: Policy | None = None,
    prm: Rewarder = None,
    n: int | None = None,
    search: str | None = None,
    config: str | Path | None = None,
    settings: Settings | None = None,
    output: str | Path | None = None,
    progress: Shown = False,
) -> Solution:
    """Sample programs, judge them by the public tests, score them, and select one: `.code`.

    Args:
        problem: what is to be solved. Hidden tests choose nothing.
        policy: writes the programs; None: that of the configuration, else the shipped tiny model.
        prm: a reward model, the folder of one, or what `load_scorer` returned; None: the choice is
            by tests, then by majority of outputs, self-certainty or likelihood.
        n: how many programs; None: what the configuration says, else 8.
        search: how they are looked for by step scores, such as `beam` or `repair`
            (docs/search.md), with its defaults; None: what the configuration says, else they are
            sampled.
        config: a run's TOML file, of which policy, executor, seed, `generate`, ... count.
        settings: in place of the file's, such as `{"seed": 1, "executor.seconds": 2}`.
        output: a folder that keeps answers, so that an interrupted call goes on; None: none.
        progress: see the module.

    Raises:
        ConfigError: a setting is wrong, or there are two policies.
        ModelError: there is no such reward model; found before anything is sampled.
        PolicyError: some programs could not be had.
        ExecutorError: the tests could not be run.
    """
    named = {"generate.n": n, "search.name": search}
    given = {
        **(settings or {}),
        **{key: value for key, value in named.items() if value is not None},
    }
    if policy is not None and any(key.partition(".")[0] == "policy" for key in given):
        raise ConfigError("settings of a policy beside `policy=`: give one of them")
    if isinstance(prm, str | Path):
        prm = load_prm(prm)
    opened = prm.opened if prm else None
    with folder_of(output) as folder, shown_by(progress) as shown:
        problem = with_probe(problem)
        settled = solving.solve_config(path_of(config), folder, problem, given)
        return solving.solve(settled, problem, shown, opened, policy)


async def asample(
    policy: Policy,
    problem: Problem,
    n: int = 8,
    *,
    seed: int = 0,
    output: str | Path | None = None,
    progress: Shown = False,
) -> list[Generation]:
    """As `sample`, without keeping the event loop waiting; cancelling it ends the sampling.

    A policy is one caller's at a time: calls that run together take a policy object each.
    """
    return await aside(
        lambda shown: sample(policy, problem, n, seed=seed, output=output, progress=shown), progress
    )


async def asolve(  # noqa: PLR0913  (as `solve`)
    problem: Problem,
    *,
    policy: Policy | None = None,
    prm: Rewarder = None,
    n: int | None = None,
    search: str | None = None,
    config: str | Path | None = None,
    settings: Settings | None = None,
    output: str | Path | None = None,
    progress: Shown = False,
) -> Solution:
    """As `solve`, without keeping the event loop waiting; cancelling it ends the work.

    Calls that run together take a policy object each.
    """
    return await aside(
        lambda shown: solve(
            problem,
            policy=policy,
            prm=prm,
            n=n,
            search=search,
            config=config,
            settings=settings,
            output=output,
            progress=shown,
        ),
        progress,
    )


def steps_of(code: str) -> list[tuple[str, str]]:
    r"""The function steps of a program: name and text of each; the texts joined are the program.

    >>> steps_of("import os\n\ndef f():\n    pass\n")
    [('f', 'import os\n\ndef f():\n    pass\n')]
    """
    ends, names = find_steps(code)
    return list(zip(names, step_texts(code, ends), strict=True))
