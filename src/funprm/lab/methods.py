"""The methods that are compared, and one measurement: a method under a corruption on a seed.

| name | rewards that are fitted | clean outcomes of meta programs |
|---|---|---|
| `orm` | outcomes alone, last steps | fitted |
| `none` | as measured | unused |
| `joint` | as measured | fitted beside them |
| `table`, `reweight`, `table+reweight` | corrected in two levels | drive the correction; fitted |
| `posterior` | posterior means | fitted |
| `pooled` | completions and the programs with the same beginning, counted together | fitted |
| `table-shuffled` | as `table`, driven by shuffled meta outcomes: a control | fitted |
| `posterior-shuffled` | as `posterior`, from shuffled own outcomes: a control | fitted |
| `scan`, `nait` | relabelled by published denoisers, see `peers` | fitted |
| `orm+pairs`, `joint+pairs`, `posterior+pairs` | as without `+pairs` | and compared in pairs |
| `outcomes+pairs` | none: scores of steps are learned from outcomes alone | as `joint+pairs` |
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from funprm.config import ComponentConfig, TrainConfig
from funprm.errors import ConfigError, nearest
from funprm.evaluation.aggregation import AGGREGATORS
from funprm.evaluation.score_measures import weighted_auc
from funprm.evaluation.selection import expected_choice
from funprm.lab.corruptions import Corruption, relabelled
from funprm.lab.peers import nait, scan
from funprm.lab.world import MAX_STEPS, LabData
from funprm.prm.records import read_corrected
from funprm.prm.scoring import PrmScorer
from funprm.prm.training.data import TrainingData
from funprm.prm.training.identity import shares_warmup
from funprm.prm.training.job import TrainResult
from funprm.prm.training.loop import train
from funprm.records import Json, LabelledProgram

DIGITS = 5
"""Decimals of stored measures."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one method makes of one corruption on one seed."""

    key: str
    seed: int
    corruption: str
    """Empty for methods that see no rewards of partial programs."""
    method: str
    errors: tuple[float, ...]
    """Squared error of fitted rewards to the truth, mean by train problem; empty without any."""
    step_auc: float | None
    """Of the scores of earlier steps against the completions behind the truth, test problems."""
    choices: Mapping[str, tuple[float, ...]]
    """By N: expected outcome of the best-scored of N programs, by test problem."""
    criterion: float
    """Accuracy on validation by which the checkpoint was chosen."""
    seconds: float
    """Of training, with all that the method needs beside it."""


class Experiment:
    """One corruption on one seed: the data and the room that its methods share.

    Args:
        world: the seed's completions and truth.
        corruption: how rewards are measured.
        config: of training.
        folder: for models, which are not kept.
    """

    def __init__(
        self, world: LabData, corruption: Corruption, config: TrainConfig, folder: Path
    ) -> None:
        self.world, self.corruption, self.folder = world, corruption, folder
        self.config = replace(config, seed=world.seed, device="cpu")

    @cached_property
    def data(self) -> TrainingData:
        """Corrupted train programs, clean meta and validation programs."""
        programs = self.world.programs
        return TrainingData(
            train=self.corruption.programs(self.world),
            meta=programs["meta"],
            validation=programs["validation"],
            max_steps=MAX_STEPS,
        )

    def settings(self, learns: str, *, pairs: bool = False) -> TrainConfig:
        """Settings of training.

        `learns` is a name of `LEARNS`; `pairs` adds the pairwise loss, from the first step on.
        """
        config = replace(self.config, **LEARNS[learns])
        return replace(config, pairwise=1.0, warmup_epochs=0.0) if pairs else config

    def train(
        self, name: str, config: TrainConfig, data: TrainingData | None = None
    ) -> TrainResult:
        """Trains one model into the folder's `name`; the warm-up of `none` is shared.

        Args:
            name: of the folder.
            config: of training.
            data: in place of the experiment's.
        """
        shared = self.folder / "none"
        warm = (
            data is None
            and name != shared.name
            and shares_warmup(config, self.settings("none"))
            and (shared / "result.json").exists()
        )
        own = self.folder / name
        return train(config, data or self.data, own, init=shared if warm else None)

    def scorer(self, result: TrainResult) -> PrmScorer:
        """A trained model."""
        return PrmScorer(result.folder / "model", "cpu")


def _corrected_by(name: str) -> Mapping[str, Any]:
    return {"correction": ComponentConfig(name=name)}


LEARNS: Mapping[str, Mapping[str, Any]] = {
    "orm": {"labels": "outcome"},
    "none": {"clean_outcomes": False, **_corrected_by("none")},
    "joint": _corrected_by("none"),
    **{n: _corrected_by(n) for n in ("table", "reweight", "table+reweight", "posterior")},
}
"""Settings of training that say what a model learns from, by the name of the method that learns
from nothing else."""

WITHOUT_REWARDS = ("orm", "orm+pairs", "outcomes+pairs")
"""Methods that see no rewards of partial programs: one cell per seed."""

Fitted = tuple[TrainResult, Mapping[str, float]]
"""A training, and the reward that was fitted by prefix key."""


def _fitted(programs: Sequence[LabelledProgram]) -> dict[str, float]:
    """The rewards that programs are labelled with, by prefix."""
    return {
        prefix: reward
        for program in programs
        for step, prefix in enumerate(program.prefixes[:-1])
        if (reward := program.reward(step)) is not None
    }


def _corrected(result: TrainResult) -> dict[str, float]:
    return {prefix: item.reward for prefix, item in read_corrected(result.folder).items()}


def _plain(learns: str, *, pairs: bool = False) -> Callable[[Experiment], Fitted]:
    def fit(experiment: Experiment) -> Fitted:
        config = experiment.settings(learns, pairs=pairs)
        result = experiment.train(f"{learns}+pairs" if pairs else learns, config)
        measured = {} if config.outcome_only else _fitted(experiment.data.train)
        return result, {**measured, **_corrected(result)}

    return fit


def _outcomes_in_pairs(experiment: Experiment) -> Fitted:
    data = replace(experiment.data, train=relabelled(experiment.data.train, {}))
    return experiment.train("outcomes+pairs", experiment.settings("joint", pairs=True), data), {}


def _on(experiment: Experiment, name: str, learns: str, programs: list[LabelledProgram]) -> Fitted:
    """Trains on other labels; prefixes that lost theirs count as measured."""
    data = replace(experiment.data, train=programs)
    result = experiment.train(name, experiment.settings(learns), data)
    return result, {**_fitted(experiment.data.train), **_fitted(programs), **_corrected(result)}


def _pooled(experiment: Experiment) -> Fitted:
    return _on(experiment, "pooled", "joint", pooled(experiment.data.train))


def pooled(programs: Sequence[LabelledProgram]) -> list[LabelledProgram]:
    """Programs whose rewards count sampled programs as completions of their beginnings.

    The simplest use of the clean outcomes, (k + c) / (n + m): what a posterior must beat.
    """
    counts: dict[str, tuple[int, int]] = {}
    for program in programs:
        for prefix, k, n in zip(program.prefixes[:-1], program.k, program.n, strict=False):
            passed, judged = counts.get(prefix, (k, n))
            counts[prefix] = (passed + program.k[-1], judged + program.n[-1])
    return relabelled(programs, counts)


def _scan(experiment: Experiment) -> Fitted:
    return _on(experiment, "scan", "joint", scan(experiment.data.train))


def _nait(experiment: Experiment) -> Fitted:
    rounds: list[TrainResult] = []

    def fit(programs: Sequence[LabelledProgram]) -> list[tuple[float, ...]]:
        name = f"nait-{len(rounds)}"
        data = replace(experiment.data, train=programs)
        rounds.append(experiment.train(name, experiment.settings("none"), data))
        return list(experiment.scorer(rounds[-1]).score(programs))

    return _on(experiment, "nait", "joint", nait(experiment.data.train, fit))


def _shuffled(programs: Sequence[LabelledProgram], seed: int) -> list[LabelledProgram]:
    """The programs with their outcomes dealt anew: a control that knows nothing."""
    order = list(range(len(programs)))
    random.Random(f"{seed} shuffled").shuffle(order)
    return [
        replace(p, k=(*p.k[:-1], programs[i].k[-1]), n=(*p.n[:-1], programs[i].n[-1]))
        for p, i in zip(programs, order, strict=True)
    ]


def _table_shuffled(experiment: Experiment) -> Fitted:
    data = replace(experiment.data, meta=_shuffled(experiment.data.meta, experiment.world.seed))
    result = experiment.train("table-shuffled", experiment.settings("table"), data)
    return result, {**_fitted(data.train), **_corrected(result)}


def _posterior_shuffled(experiment: Experiment) -> Fitted:
    dealt = _shuffled(experiment.data.train, experiment.world.seed)
    return _on(experiment, "posterior-shuffled", "posterior", dealt)


STANDARD: Mapping[str, Callable[[Experiment], Fitted]] = {
    **{name: _plain(name) for name in LEARNS},
    "pooled": _pooled,
    "table-shuffled": _table_shuffled,
    "posterior-shuffled": _posterior_shuffled,
    "scan": _scan,
    "nait": _nait,
    "orm+pairs": _plain("orm", pairs=True),
    "outcomes+pairs": _outcomes_in_pairs,
    "joint+pairs": _plain("joint", pairs=True),
    "posterior+pairs": _plain("posterior", pairs=True),
}
"""All methods by name, in the order of tables."""


def check_methods(names: Sequence[str]) -> None:
    """Refuses unknown methods.

    Raises:
        ConfigError: a name that stands for none.
    """
    for name in names:
        if name not in STANDARD:
            raise ConfigError(f"method {name!r} is unknown: {nearest(name, STANDARD)}")


def cell_key(settings: str, seed: int, corruption: str, method: str) -> str:
    """What identifies a cell; `settings` is the digest of what determines all cells."""
    return f"{settings} {seed} {corruption_of(corruption, method)} {method}"


def corruption_of(corruption: str, method: str) -> str:
    """The corruption that a cell of a method is stored under."""
    return "" if method in WITHOUT_REWARDS else corruption


def measure(experiment: Experiment, method: str, key: str) -> Measurement:
    """Trains one method and measures it into the cell of this key."""
    start = time.monotonic()
    result, rewards = STANDARD[method](experiment)
    seconds = time.monotonic() - start
    world, corruption = experiment.world, experiment.corruption.text
    test = world.programs["test"]
    scorer = experiment.scorer(result)
    scores = list(scorer.score(test))
    return Measurement(
        key=key,
        seed=world.seed,
        corruption=corruption_of(corruption, method),
        method=method,
        errors=_errors(world, rewards) if rewards else (),
        step_auc=_step_auc(world, scores),
        choices=_choices(test, [AGGREGATORS[scorer.reading.aggregator](s) for s in scores]),
        criterion=result.validation.criterion if result.validation else 0.0,
        seconds=round(seconds, 3),
    )


def _errors(world: LabData, rewards: Mapping[str, float]) -> tuple[float, ...]:
    """Squared errors, by train problem.

    The truth is itself measured: the variance of its own estimate, v (1 - v)/(n - 1), is taken
    off, which leaves the expected error to the true value (it can be slightly negative).
    """
    found: dict[str, dict[str, float]] = {}
    for program in world.programs["train"]:
        for prefix in program.prefixes[:-1]:
            k, n = world.truth.get(prefix, (0, 0))
            if n > 1:
                v = k / n
                error = (rewards[prefix] - v) ** 2 - v * (1 - v) / (n - 1)
                found.setdefault(program.problem_id, {})[prefix] = error
    return tuple(round(float(np.mean(list(e.values()))), DIGITS) for e in found.values())


def _step_auc(world: LabData, scores: Sequence[Sequence[float]]) -> float | None:
    rows = {}
    for program, steps in zip(world.programs["test"], scores, strict=True):
        for prefix, score in zip(program.prefixes[:-1], steps, strict=False):
            k, n = world.test_truth.get(prefix, (0, 0))
            if n:
                rows[prefix] = (score, k, n - k)
    if not rows:
        return None
    auc = weighted_auc(*(np.array(column) for column in zip(*rows.values(), strict=True)))
    return None if auc is None else round(auc, DIGITS)


def _choices(
    programs: Sequence[LabelledProgram], totals: Sequence[float]
) -> dict[str, tuple[float, ...]]:
    groups: dict[str, list[int]] = {}
    for index, program in enumerate(programs):
        if program.outcome is not None:
            groups.setdefault(program.problem_id, []).append(index)
    outcomes = np.array([program.outcome or 0.0 for program in programs])
    values = np.array(totals)
    least = min(map(len, groups.values()))
    sizes = [2**i for i in range(least.bit_length()) if 2**i <= least]
    return {
        str(size): tuple(
            round(expected_choice(values[group], outcomes[group], size), DIGITS)
            for group in groups.values()
        )
        for size in sizes
    }


def settings_of(config: TrainConfig) -> dict[str, Json]:
    """What of the training settings determines cells; what the cell sets itself is left out."""
    left_out = ("labels", "clean_outcomes", "correction", "seed", "device", "tensorboard")
    return {k: v for k, v in asdict(config).items() if k not in left_out}
