"""The methods that are compared, and one cell: a method under a corruption on a seed.

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

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from funprm.config import Mode, TrainConfig
from funprm.errors import ConfigError, nearest
from funprm.evaluation.aggregation import AGGREGATORS
from funprm.lab.corruptions import Corruption, relabelled
from funprm.lab.peers import nait, scan
from funprm.lab.world import MAX_STEPS, World
from funprm.prm.reading import aggregator_of
from funprm.prm.scoring import PrmScorer
from funprm.prm.training.data import TrainingData
from funprm.prm.training.loop import TrainResult, train
from funprm.prm.training.validation import expected_choice, weighted_auc
from funprm.records import Json, LabelledProgram

Rewards = Mapping[str, float]
"""The reward that was fitted, by prefix key."""

DIGITS = 5
"""Decimals of stored measures."""


@dataclass(frozen=True, kw_only=True)
class Cell:
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


class Trial:
    """One corruption on one seed: the data and the room that its methods share.

    Args:
        world: the seed's completions and truth.
        corruption: how rewards are measured.
        config: of training.
        folder: for models, which are not kept.
    """

    def __init__(
        self, world: World, corruption: Corruption, config: TrainConfig, folder: Path
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

    def train(
        self, name: str, mode: Mode, data: TrainingData | None = None, *, pairs: bool = False
    ) -> TrainResult:
        """Trains one model into the folder's `name`; the warm-up of `none` is shared.

        Args:
            name: of the folder.
            mode: of training.
            data: in place of the trial's.
            pairs: adds the pairwise loss, from the first step on.
        """
        config = replace(self.config, mode=mode)
        if pairs:
            config = replace(config, pairwise=1.0, warmup_epochs=0.0)
        shared = self.folder / "none"
        own = data is not None or pairs
        warm = not own and mode in WARMED and (shared / "result.json").exists()
        folder = self.folder / (f"{name}+pairs" if pairs else name)
        return train(config, data or self.data, folder, init=shared if warm else None)

    def scores(
        self, result: TrainResult, programs: Sequence[LabelledProgram]
    ) -> list[tuple[float, ...]]:
        """Step scores of programs by a trained model."""
        return list(PrmScorer(result.folder / "model", "cpu").score(programs))


WARMED = ("joint", "table", "reweight", "table+reweight")

WITHOUT_REWARDS = ("orm", "orm+pairs", "outcomes+pairs")
"""Methods that see no rewards of partial programs: one cell per seed."""

Fitted = tuple[TrainResult, Rewards]


def _raw(programs: Sequence[LabelledProgram]) -> dict[str, float]:
    return {
        prefix: k / n
        for program in programs
        for prefix, k, n in zip(program.prefixes[:-1], program.k, program.n, strict=False)
        if n
    }


def _mode(mode: Mode, *, pairs: bool = False) -> Callable[[Trial], Fitted]:
    def fit(trial: Trial) -> Fitted:
        result = trial.train(mode, mode, pairs=pairs)
        raw = {} if mode == "orm" else _raw(trial.data.train)
        return result, {**raw, **_corrected(result)}

    return fit


def _corrected(result: TrainResult) -> dict[str, float]:
    path = result.folder / "corrected.jsonl"
    if not path.exists():
        return {}
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["prefix"]: row["reward"] for row in rows}


def _outcomes_in_pairs(trial: Trial) -> Fitted:
    data = replace(trial.data, train=relabelled(trial.data.train, {}))
    return trial.train("outcomes", "joint", data, pairs=True), {}


def _on(trial: Trial, name: str, mode: Mode, data: TrainingData) -> Fitted:
    """Trains on other labels; prefixes that lost theirs count as measured."""
    result = trial.train(name, mode, data)
    return result, {**_raw(trial.data.train), **_raw(data.train), **_corrected(result)}


def _pooled(trial: Trial) -> Fitted:
    programs = pooled(trial.data.train)
    return _on(trial, "pooled", "joint", replace(trial.data, train=programs))


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


def _scan(trial: Trial) -> Fitted:
    labelled = scan(trial.data.train)
    return _on(trial, "scan", "joint", replace(trial.data, train=labelled))


def _nait(trial: Trial) -> Fitted:
    rounds: list[TrainResult] = []

    def fit(programs: Sequence[LabelledProgram]) -> list[tuple[float, ...]]:
        name = f"nait-{len(rounds)}"
        rounds.append(trial.train(name, "none", replace(trial.data, train=programs)))
        return trial.scores(rounds[-1], programs)

    labelled = nait(trial.data.train, fit)
    return _on(trial, "nait", "joint", replace(trial.data, train=labelled))


def _shuffled(programs: Sequence[LabelledProgram], seed: int) -> list[LabelledProgram]:
    """The programs with their outcomes dealt anew: a control that knows nothing."""
    order = list(range(len(programs)))
    random.Random(f"{seed} shuffled").shuffle(order)
    return [
        replace(p, k=(*p.k[:-1], programs[i].k[-1]), n=(*p.n[:-1], programs[i].n[-1]))
        for p, i in zip(programs, order, strict=True)
    ]


def _table_shuffled(trial: Trial) -> Fitted:
    data = replace(trial.data, meta=_shuffled(trial.data.meta, trial.world.seed))
    return _on(trial, "table-shuffled", "table", data)


def _posterior_shuffled(trial: Trial) -> Fitted:
    data = replace(trial.data, train=_shuffled(trial.data.train, trial.world.seed))
    return _on(trial, "posterior-shuffled", "posterior", data)


STANDARD: Mapping[str, Callable[[Trial], Fitted]] = {
    "orm": _mode("orm"),
    "none": _mode("none"),
    "joint": _mode("joint"),
    "table": _mode("table"),
    "reweight": _mode("reweight"),
    "table+reweight": _mode("table+reweight"),
    "posterior": _mode("posterior"),
    "pooled": _pooled,
    "table-shuffled": _table_shuffled,
    "posterior-shuffled": _posterior_shuffled,
    "scan": _scan,
    "nait": _nait,
    "orm+pairs": _mode("orm", pairs=True),
    "outcomes+pairs": _outcomes_in_pairs,
    "joint+pairs": _mode("joint", pairs=True),
    "posterior+pairs": _mode("posterior", pairs=True),
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


def measure(trial: Trial, method: str, key: str) -> Cell:
    """Trains one method and measures it into the cell of this key."""
    start = time.monotonic()
    result, rewards = STANDARD[method](trial)
    seconds = time.monotonic() - start
    world, corruption = trial.world, trial.corruption.text
    test = world.programs["test"]
    scores = trial.scores(result, test)
    used = aggregator_of(method.removesuffix("+pairs"))
    totals = [AGGREGATORS[used](s) for s in scores]
    return Cell(
        key=key,
        seed=world.seed,
        corruption=corruption_of(corruption, method),
        method=method,
        errors=_errors(world, rewards) if rewards else (),
        step_auc=_step_auc(world, scores),
        choices=_choices(test, totals),
        criterion=float(result.validation.get("criterion", 0.0)),
        seconds=round(seconds, 3),
    )


def _errors(world: World, rewards: Rewards) -> tuple[float, ...]:
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


def _step_auc(world: World, scores: Sequence[Sequence[float]]) -> float | None:
    rows: dict[str, tuple[float, int, int]] = {}
    for program, steps in zip(world.programs["test"], scores, strict=True):
        for prefix, score in zip(program.prefixes[:-1], steps, strict=False):
            k, n = world.test_truth.get(prefix, (0, 0))
            if n:
                rows[prefix] = (score, k, n - k)
    if not rows:
        return None
    table: np.ndarray[Any, np.dtype[np.float64]] = np.array(list(rows.values()), dtype=np.float64)
    auc = weighted_auc(table[:, 0], table[:, 1], table[:, 2])
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
    """What of the training settings determines cells; mode, seed and device are the cell's."""
    left_out = ("mode", "seed", "device", "tensorboard")
    return {k: v for k, v in asdict(config).items() if k not in left_out}
