"""What a training writes for others to read: corrected rewards, curves, validation. No torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from funprm.records import Json
from funprm.store import read_records, write_records

CORRECTED = "corrected.jsonl"
CURVES = "curves.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class CorrectedReward:
    """What a correction makes of one partial program; stored in `corrected.jsonl`."""

    prefix: str
    """Key of the beginning."""
    k: int
    """Passed completions."""
    n: int
    """Judged completions."""
    reward: float
    """As it was fitted in the end, in [0, 1]."""
    weight: float
    """Beside the number of programs with this beginning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """What a model's scores are worth on validation problems, see `validation.metrics`."""

    criterion: float
    """Expected accuracy of the choice among a random half of a problem's programs."""
    best_of_n: Mapping[str, float]
    """Accuracy of each aggregator's choice among all programs of a problem."""
    one_sample: float
    oracle: float
    outcome_auc: float | None
    """Of the last step's score against the outcome; None where all outcomes are the same."""
    step_auc: float | None
    """Of earlier steps' scores against their completions."""
    brier: float
    """Of the last step's score against the outcome."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """A training after some steps; stored in `curves.jsonl`."""

    phase: str
    step: int
    """Position in the learning-rate schedule."""
    epoch: float
    loss: float
    """Mean since the last point."""
    tokens_per_second: float
    peak_memory: int
    """Bytes."""
    outer_loss: float | None = None
    """Mean since the last point, while a correction follows it."""
    correction: Mapping[str, Json] | None = None
    """What the correction says of itself, while it follows the outer loss."""
    validation: Validation | None = None


def write_corrected(folder: Path, rewards: Iterable[CorrectedReward]) -> None:
    """Stores a training's corrected rewards in its folder."""
    write_records(folder / CORRECTED, rewards)


def read_corrected(folder: Path) -> dict[str, CorrectedReward]:
    """A training's corrected rewards by prefix; empty where it corrects none.

    Raises:
        RecordError: a line is none; names file and line.
    """
    return {item.prefix: item for item in read_records(folder / CORRECTED, CorrectedReward)}


def write_curves(folder: Path, points: Iterable[CurvePoint]) -> None:
    """Stores a training's curves in its folder."""
    write_records(folder / CURVES, points)


def read_curves(folder: Path) -> list[CurvePoint]:
    """A training's curves.

    Raises:
        RecordError: a line is none; names file and line.
    """
    return list(read_records(folder / CURVES, CurvePoint))
