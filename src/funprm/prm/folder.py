"""What a training run leaves in its folder, and what makes two runs the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from funprm.config import TrainConfig
from funprm.prm.data import TrainingData
from funprm.records import Json, key_of
from funprm.store import atomic_file, write_atomically

AFTER_WARMUP = ("mode", "hypergradient", "correction_lr", "prior", "evaluate_every", "pairwise")
"""Settings that a warm-up does not depend on."""


def settings_of(config: TrainConfig, *, shared: bool = False) -> dict[str, Json]:
    """What determines a run; with `shared`, what determines its warm-up."""
    left_out = ("device", "tensorboard", *(AFTER_WARMUP if shared else ()))
    settings = {name: value for name, value in asdict(config).items() if name not in left_out}
    if shared and config.mode == "posterior":
        settings["rewards"] = "posterior"  # fitted from the first step on
    return settings


def shares_warmup(first: TrainConfig, second: TrainConfig) -> bool:
    """Whether two models have the same warm-up, so that one can take the other's (`init`)."""
    return "orm" not in (first.mode, second.mode) and (
        settings_of(first, shared=True) == settings_of(second, shared=True)
    )


def contents_of(data: TrainingData) -> list[Json]:
    """What of the labelled programs determines a run."""
    return [
        [
            [p.generation, p.problem_id, key_of(p.statement, p.steps), p.prefixes, p.k, p.n]
            for p in s
        ]
        for s in (data.train, data.meta, data.validation)
    ]


def warmup_of(folder: Path) -> Path:
    """Where a training keeps the state at the end of its warm-up."""
    return folder / "state" / "warmup.pt"


def store(state: Mapping[str, Any], path: Path) -> None:
    """Writes tensors and plain values; a kill or a full disk leaves the previous file.

    Raises:
        StoreError: no space left, or the place is not writable.
    """
    with atomic_file(path) as file:
        torch.save(dict(state), file)


def load(path: Path) -> dict[str, Any]:
    """What `store` wrote, on the CPU."""
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Json]]) -> None:
    """JSON lines, as `store` writes."""
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
