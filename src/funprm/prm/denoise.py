"""Mode `posterior`: partial programs are fitted to posterior means of their values.

Two models, each fitted to one half of the problems, score the other half; `prm.posterior` joins
their scores, the completions and the outcomes of the programs themselves. What follows is mode
`joint` on the corrected rewards.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from funprm.config import TrainConfig
from funprm.prm.data import TrainingData
from funprm.prm.posterior import Channel, Evidence, posterior_rewards
from funprm.prm.scorer import PrmScorer
from funprm.records import Json, LabelledProgram

PARTS = 1_000_000
"""A corrected reward r is handed on as round(r PARTS) passes of PARTS completions."""

FOLDS = 2

Fit = Callable[[TrainConfig, TrainingData, Path], object]
"""Trains one model into a folder (`train.train`)."""


def corrected_data(
    config: TrainConfig, data: TrainingData, folder: Path, fit: Fit
) -> TrainingData:
    """The data with corrected rewards; writes `corrected.jsonl` and `channel.json`.

    Args:
        config: of the model to come; the models of the folds get its warm-up.
        data: with measured rewards.
        folder: of the model to come.
        fit: trains the models of the folds, resumably.
    """
    scores = _scores_of_unseen(config, data.train, folder / "state", fit)
    prefixes, evidence = _evidence(data.train, scores)
    if not prefixes:
        return data
    rewards, channel = posterior_rewards(evidence)
    found = dict(zip(prefixes, rewards.tolist(), strict=True))
    _write(folder, found, evidence, channel)
    return replace(data, train=[_labelled(program, found) for program in data.train])


def _scores_of_unseen(
    config: TrainConfig, programs: Sequence[LabelledProgram], folder: Path, fit: Fit
) -> dict[str, float]:
    """Score of every prefix by a model that has not seen its problem."""
    problems = sorted({program.problem_id for program in programs})
    random.Random(config.seed).shuffle(problems)
    fold_of = {problem: i % FOLDS for i, problem in enumerate(problems)}
    epochs = config.warmup_epochs or config.epochs
    settings = replace(config, mode="none", epochs=epochs, evaluate_every=epochs)
    found: dict[str, float] = {}
    for fold in range(FOLDS):
        place = folder / f"fold-{fold}"
        fit(settings, TrainingData(train=_of(programs, fold_of, fold, inside=False)), place)
        scorer = PrmScorer(place / "model", config.device)
        held_out = _of(programs, fold_of, fold, inside=True)
        for program, steps in zip(held_out, scorer.score(held_out), strict=True):
            found |= dict(zip(program.prefixes, steps, strict=False))
    return found


def _of(
    programs: Sequence[LabelledProgram], fold_of: Mapping[str, int], fold: int, *, inside: bool
) -> list[LabelledProgram]:
    return [p for p in programs if (fold_of[p.problem_id] == fold) == inside]


def _evidence(
    programs: Sequence[LabelledProgram], scores: Mapping[str, float]
) -> tuple[list[str], Evidence]:
    """Prefixes with completions and a score, and what is known of each."""
    rows: dict[str, list[float]] = {}
    for program in programs:
        for prefix, k, n in zip(program.prefixes[:-1], program.k, program.n, strict=False):
            if n and prefix in scores:
                row = rows.setdefault(prefix, [k, n, 0, 0, scores[prefix]])
                if program.outcome is not None:
                    row[2] += program.outcome
                    row[3] += 1
    table = np.array(list(rows.values()), dtype=np.float64).reshape(-1, 5)
    return list(rows), Evidence(*table.T)


def _labelled(program: LabelledProgram, rewards: Mapping[str, float]) -> LabelledProgram:
    """The program with corrected rewards; its own verdict stays as it is."""
    known = [rewards.get(prefix) for prefix in program.prefixes[:-1]]
    k = tuple(0 if r is None else round(r * PARTS) for r in known)
    n = tuple(0 if r is None else PARTS for r in known)
    return replace(program, k=(*k, program.k[-1]), n=(*n, program.n[-1]))


def _write(
    folder: Path, rewards: Mapping[str, float], evidence: Evidence, channel: Channel
) -> None:
    rows: list[Json] = [
        {"prefix": prefix, "k": int(k), "n": int(n), "reward": reward, "weight": 1.0}
        for (prefix, reward), k, n in zip(rewards.items(), evidence.k, evidence.n, strict=True)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "corrected.jsonl").write_text(text, encoding="utf-8")
    text = json.dumps(asdict(channel), indent=2) + "\n"
    (folder / "channel.json").write_text(text, encoding="utf-8")
