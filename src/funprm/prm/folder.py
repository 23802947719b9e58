"""What a training run leaves in its folder."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from funprm.disk import atomic_file
from funprm.errors import StoreError


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
    """What `store` wrote, on the CPU.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as parts:  # torch itself does not compare checksums
            damaged = parts.testzip()
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError):
        damaged = path.name
    if damaged:
        raise StoreError(
            f"{path} is not what training wrote: restore it, or delete it to do its work again"
        )
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded
