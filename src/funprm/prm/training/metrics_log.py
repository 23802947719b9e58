"""What the curves say of a training beside its losses: speed and memory; and their TensorBoard."""

import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch

from funprm.errors import ConfigError
from funprm.prm.records import CurvePoint
from funprm.store import flatten


class Throughput:
    """Tokens per second since the last mark.

    Args:
        tokens: count to start from.
    """

    def __init__(self, tokens: int) -> None:
        self.mark(tokens)

    def mark(self, tokens: int) -> None:
        """Counts from here."""
        self._tokens, self._since = tokens, time.monotonic()

    def rate(self, tokens: int) -> float:
        """Tokens per second, up to a count of `tokens`."""
        return (tokens - self._tokens) / max(time.monotonic() - self._since, 1e-9)


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that tensors held on a GPU, or that this process held on a CPU, so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def summary_writer() -> Any:  # noqa: ANN401  (the package is optional)
    """The class that writes TensorBoard's files.

    Raises:
        ConfigError: the package is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "train.tensorboard = true needs the package tensorboard, which is not installed: "
            "pip install 'funprm[tensorboard]', or leave the setting out"
        ) from error
    return SummaryWriter


class TensorBoardWriter:
    """The curves' numbers as TensorBoard's scalars `phase/name`, by optimiser step.

    Args:
        folder: where to write; None: nowhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer = None if folder is None else summary_writer()(str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, point: CurvePoint) -> None:
        """Writes one point of the curves."""
        if self._writer is None:
            return
        values = {**asdict(point), **(point.correction or {})}
        del values["correction"]
        for name, value in flatten(values).items():
            if name != "step" and isinstance(value, (int, float)):
                tag = f"{point.phase}/{name.replace('.', '/')}"
                self._writer.add_scalar(tag, value, point.step)
        self._writer.flush()
