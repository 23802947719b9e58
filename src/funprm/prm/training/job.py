"""What a training is asked for, what it is called, and what came of it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from funprm.config import TrainConfig
from funprm.disk import write_atomically
from funprm.errors import ConfigError, StoreError
from funprm.prm.distributed import ProcessGroup, current
from funprm.prm.reading import Reading
from funprm.prm.records import Validation
from funprm.prm.training.data import TrainingData
from funprm.prm.training.identity import RESULT, contents_of, files_of, result_of, training_key
from funprm.prm.training.metrics_log import summary_writer
from funprm.records import Json, key_of

Report = Callable[[dict[str, Json]], None]


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What came of a training; the model is in `folder / "model"`."""

    folder: Path
    best_step: int
    """Optimiser step (warm-up included) whose weights were kept."""
    validation: Validation | None
    """Of the kept weights; None without validation problems."""
    steps: int
    """Optimiser steps of the kept model's schedule."""
    rows: int
    """Distinct labelled partial programs."""
    correction: Mapping[str, Json]
    """What the correction says of itself in the end, see its `diagnostics`."""
    seconds: float
    tokens: int
    """Tokens of all forward passes of training, without padding."""
    not_fitting: int
    """Programs left out because their code exceeds `max_tokens`."""
    shortened: int
    """Programs whose statement lost its middle."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked for, and what it is called."""

    config: TrainConfig
    folder: Path
    report: Report
    init: Path | None
    ranks: ProcessGroup
    key: str
    warmup_key: str
    reading: Reading
    started: float

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        data: TrainingData,
        folder: Path,
        report: Report,
        init: Path | None,
    ) -> "Job":
        """Names what `loop.train` is asked for.

        Raises:
            TrainingError: shared problems.
        """
        started = time.monotonic()
        data.check()
        contents = contents_of(data)
        return cls(
            config=config,
            folder=folder,
            report=report,
            init=init,
            ranks=current(),
            key=training_key(config, contents, init),
            warmup_key=training_key(config, contents, shared=True),
            reading=Reading(max_steps=data.max_steps, aggregator=config.aggregator()),
            started=started,
        )

    @property
    def checkpoint(self) -> Path:
        """From which an interrupted training goes on."""
        return self.folder / "state" / "checkpoint.pt"

    def finished(self) -> TrainResult | None:
        """What a finished run stored."""
        stored = result_of(self.folder)
        if stored is None:
            return None
        self.refuse_other(stored["key"])
        return msgspec.convert({**stored, "folder": self.folder}, TrainResult)

    def refuse_other(self, key: str) -> None:
        """Refuses what lies in the folder, unless it is this training's."""
        if key != self.key:
            raise StoreError(
                f"{self.folder} holds a training of other settings or data: "
                "use another folder, or remove this one"
            )

    def facts(self, step: int) -> dict[str, Json]:
        """What is stored beside the weights after this step."""
        return {
            "trained_on": self.config.summary,
            "base": self.config.base,
            "step": step,
            "reading": self.reading.settings(),
        }

    def write(self, result: TrainResult) -> None:
        """Stores the result; the training is finished."""
        stored = {**asdict(result), "key": self.key, "files": files_of(self.folder)}
        del stored["folder"]
        stored["digest"] = key_of(json.loads(json.dumps(stored)))
        text = json.dumps(stored, indent=2) + "\n"
        write_atomically(self.folder / RESULT, text.encode())
        self.checkpoint.unlink(missing_ok=True)

    def require_fit(self) -> None:
        """Refuses settings that this process, or several of them, cannot follow.

        Raises:
            ConfigError: a package is missing, or the settings do not suit several processes.
        """
        if self.config.tensorboard:
            summary_writer()
        if self.ranks.size == 1:
            return
        if self.config.hypergradient == "exact":
            raise ConfigError(
                f"train.hypergradient = 'exact' with {self.ranks.size} processes: it needs the "
                "whole batch in one; use auto, jvp or fd, or one process"
            )
        if self.config.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"train.device = {self.config.device!r} with {self.ranks.size} processes: "
                "expected auto, cuda or cpu; each process takes the GPU of its number"
            )
