"""What a training works on: the opened model, its correction, rendered programs, the phases."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from funprm.config import TrainConfig
from funprm.errors import ModelError, TrainingError
from funprm.prm.correction.base import Correction, Evidence, build_correction
from funprm.prm.folder import warmup_of
from funprm.prm.models.network import Opened
from funprm.prm.models.opening import open_base, open_saved
from funprm.prm.records import CorrectedReward
from funprm.prm.rendering import Encoded
from funprm.prm.training.data import TrainingData, known_outcomes
from funprm.prm.training.schedule import Plan, Rendered, plan
from funprm.records import LabelledProgram


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """All that a training needs, before its first step."""

    opened: Opened
    correction: Correction
    evidence: Evidence
    corrected: Sequence[CorrectedReward]
    """What the correction has found before training; empty where that is nothing."""
    plan: Plan
    validation: Rendered
    not_fitting: int
    """Programs left out because their code exceeds `max_tokens`."""
    shortened: int
    """Programs whose statement lost its middle."""


def prepare(config: TrainConfig, data: TrainingData, init: Path | None) -> Prepared:
    """Opens the model, corrects what can be corrected before training, renders all programs.

    Args:
        config: settings.
        data: labelled programs.
        init: as for `loop.train`.

    Raises:
        ModelError: the base model or `init` cannot be opened.
        TrainingError: nothing to learn from, or the correction gave no rewards that can be used.
    """
    opened = _open(config, init)
    evidence, correction = Evidence.of(data.train), build_correction(config)
    rewards = _prepared(correction, evidence, config)
    found = dict(zip(evidence.prefixes, rewards or (), strict=False))
    train = [p.with_rewards(found) for p in data.train] if rewards is not None else data.train
    sets = (train, known_outcomes(data.meta), known_outcomes(data.validation))
    encoded = [opened.renderer.encode_all(programs, config.max_tokens) for programs in sets]
    for part in encoded:  # train programs first, where there are some
        opened.model.fit_inputs([program for program in part if program is not None])
    rendered = [_fitting(*both) for both in zip(sets, encoded, strict=True)]
    return Prepared(
        opened=opened,
        correction=correction,
        evidence=evidence,
        corrected=() if rewards is None else list(evidence.records(rewards=rewards)),
        plan=plan(
            config, evidence.rows, rendered[0], rendered[1], outer_loss=correction.outer_loss
        ),
        validation=rendered[2],
        not_fitting=sum(program is None for part in encoded for program in part),
        shortened=sum(p is not None and p.shortened for part in encoded for p in part),
    )


def _open(config: TrainConfig, init: Path | None) -> Opened:
    opened = open_base(config)
    if init is None or warmup_of(init).exists():
        return opened
    folder = init / "model" if (init / "model").exists() else init
    saved = open_saved(folder, config.device)
    try:
        opened.model.load_state_dict(saved.model.state_dict())
    except RuntimeError:
        raise ModelError(
            f"{folder} is not a {config.tuning} model on {config.base}: "
            "expected the same base and tuning as in these settings"
        ) from None
    return opened


def _prepared(
    correction: Correction, evidence: Evidence, config: TrainConfig
) -> list[float] | None:
    """The rewards that the correction gives before training, [rows]; None: as measured."""
    given = correction.prepare(evidence, config.seed)
    if given is None:
        return None
    rewards = np.asarray(given, dtype=np.float64)
    usable = rewards.shape == (len(evidence),) and bool(((rewards >= 0) & (rewards <= 1)).all())
    if correction.outer_loss or not usable:
        raise TrainingError(
            f"correction {config.correction.name!r} gave rewards of shape {rewards.shape} before "
            f"training: expected {len(evidence)} numbers in [0, 1], and None if it follows the "
            "outer loss; examine it with funprm.testing.check_correction"
        )
    return [float(reward) for reward in rewards]


def _fitting(
    programs: Sequence[LabelledProgram], encoded: Sequence[Encoded | None]
) -> list[tuple[LabelledProgram, Encoded]]:
    return [(p, e) for p, e in zip(programs, encoded, strict=True) if e is not None]
