"""A reward model without a training, for tests of what is done with one."""

from pathlib import Path
from typing import Any

from funprm.config import TrainConfig


def save_prm(folder: Path, **stored: Any) -> Path:
    """Write a reward model with a random head: its scores are some numbers."""
    import torch

    from funprm.prm.models.opening import open_base, save

    opened = open_base(TrainConfig(base="tiny", device="cpu"))
    torch.nn.init.normal_(
        opened.model.network.score.weight, generator=torch.Generator().manual_seed(0), std=0.02
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    save(opened, folder, stored)
    return folder
