"""What makes two trainings the same, and whether a finished one is whole; no weights are loaded."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from funprm.config import TrainConfig
from funprm.disk import digest_of
from funprm.errors import StoreError
from funprm.prm.card import CARD
from funprm.prm.identity import base_identity
from funprm.prm.records import CORRECTED, CURVES
from funprm.prm.training.data import TrainingData
from funprm.records import Json, key_of

AFTER_WARMUP = ("clean_outcomes", "hypergradient", "evaluate_every", "pairwise")
"""Settings that a warm-up does not depend on."""

NOT_RESULTS = ("device", "tensorboard", "checkpointing")
"""Settings that say where and how a training is computed, not what."""

RESULT = "result.json"


def settings_of(config: TrainConfig, *, shared: bool = False) -> dict[str, Json]:
    """What determines a run; with `shared`, what determines its warm-up."""
    left_out = (*NOT_RESULTS, *(AFTER_WARMUP if shared else ()))
    settings = {name: value for name, value in asdict(config).items() if name not in left_out}
    if not config.corrects or (shared and _warms_up_on_measured_rewards(config)):
        del settings["correction"]
    return settings


def _warms_up_on_measured_rewards(config: TrainConfig) -> bool:
    from funprm.prm.correction.base import correction_class

    return correction_class(config).outer_loss


def shares_warmup(first: TrainConfig, second: TrainConfig) -> bool:
    """Whether two models have the same warm-up, so that one can take the other's (`init`)."""
    return not (first.outcome_only or second.outcome_only) and (
        settings_of(first, shared=True) == settings_of(second, shared=True)
    )


def contents_of(data: TrainingData) -> str:
    """Digest of what determines a run of the labelled programs."""
    return key_of(
        data.max_steps,
        *(
            [
                [p.generation, p.problem_id, key_of(p.statement, p.steps), p.prefixes, p.k, p.n]
                + ([p.rewards] if p.rewards is not None else [])
                for p in programs
            ]
            for programs in (data.train, data.meta, data.validation)
        ),
    )


def training_key(
    config: TrainConfig, data: str, init: Path | None = None, *, shared: bool = False
) -> str:
    """The key of a training: settings, data, the base model's files, what it starts from.

    Args:
        config: settings.
        data: `contents_of` the data.
        init: as in `train`; another training's folder does not change the result.
        shared: the key of the warm-up alone.
    """
    warm = init is not None and (init / "state" / "warmup.pt").exists()
    start = "" if init is None or warm else str(init)
    base = base_identity(config.base)
    return key_of(settings_of(config, shared=shared), base, data, "" if shared else start)


def result_of(folder: Path) -> dict[str, Json] | None:
    """What a finished training wrote to `result.json`; None where there is none.

    Raises:
        StoreError: the result or what belongs to it is not as it was written.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        stored: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
        files: Mapping[str, str] = stored["files"]
        changed = [name for name, digest in files.items() if digest_of(folder / name) != digest]
        changed += [RESULT] if stored.pop("digest") != key_of(stored) else []
    except (ValueError, KeyError, TypeError, AttributeError):
        changed = [RESULT]
    if changed:
        raise StoreError(
            f"{folder}: {', '.join(changed[:3])} is not what training wrote: restore it, or "
            f"delete {folder} to train again"
        )
    return stored


def files_of(folder: Path) -> dict[str, str]:
    """Digests of the files that a finished training leaves, by name within its folder.

    The model's card is none of them: a run's report adds to it.
    """
    paths = sorted(p for p in (folder / "model").rglob("*") if p.is_file() and p.name != CARD)
    others = [folder / name for name in (CURVES, CORRECTED)]
    found = [path for path in (*paths, *others) if path.exists()]
    return {str(path.relative_to(folder)): digest_of(path) for path in found}
