"""How reward models are trained, and which parts a run has: settings that other settings hold."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from funprm.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ComponentConfig:
    """A component by its registered name; all other keys are its constructor's arguments."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How one reward model is trained (method: arXiv 2601.22249; see docs/method.md)."""

    labels: Literal["steps", "outcome"] = "steps"
    """What is fitted: rewards of all steps, or the outcome alone at the last one."""
    clean_outcomes: bool = True
    """Fit the outcomes of meta programs beside the train programs."""
    correction: ComponentConfig = field(default_factory=lambda: ComponentConfig(name="table"))
    """What corrects the rewards of steps: the name of a part, or a table of its name and options;
    default `table`. Without labels of steps there is nothing to correct."""
    base: str = "tiny"
    """Folder or hub name of the causal language model whose trunk is used; `tiny` is shipped."""
    marker: str = ""
    """Token that ends a step; empty: the tokenizer's own reserved one, chosen by the renderer."""
    tuning: Literal["full", "lora", "frozen"] = "full"
    """All weights, adapters, or a head alone on features that are computed once."""
    lora_rank: int = 8
    lora_alpha: int = 16
    head_hidden: int = 0
    """Hidden units of the head on a frozen trunk; 0: linear."""
    loss: Literal["bce", "mse"] = "bce"
    pairwise: float = 0.0
    """Weight of the pairwise loss of scores within a problem (docs/method.md); 0: none."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    head_lr_factor: float = 5.0
    weight_decay: float = 0.0
    clip: float = 1.0
    """Bound on the gradient norm; 0 switches clipping off."""
    batch: int = 16
    """Programs per optimiser step."""
    accumulate: int = 1
    """Micro-batches that make one optimiser step of `batch * accumulate` programs."""
    epochs: float = 6.0
    warmup_epochs: float = 3.0
    """Epochs before the main phase: on train programs alone, and on rewards as measured where the
    correction follows the outer loss."""
    evaluate_every: float = 1.0
    """Epochs between validations; the best checkpoint on validation problems is kept."""
    hypergradient: Literal["auto", "exact", "jvp", "fd"] = "auto"
    max_tokens: int = 2048
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third more time."""
    device: str = "auto"
    tensorboard: bool = False
    """Write the curves for TensorBoard, too (`pip install 'funprm[tensorboard]'`)."""

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: a value is out of its range, or two settings exclude each other.
        """
        self._require_at_least(1, "lora_rank", "lora_alpha", "batch", "accumulate", "max_tokens")
        self._require_at_least(
            0, "weight_decay", "clip", "warmup_epochs", "seed", "head_hidden", "pairwise"
        )
        for name in ("lr", "head_lr_factor", "epochs", "evaluate_every"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"train.{name} = {getattr(self, name)}: expected more than 0")
        if self.warmup_epochs >= self.epochs and self.main_differs:
            raise ConfigError(
                f"train.warmup_epochs = {self.warmup_epochs}: "
                f"expected less than train.epochs = {self.epochs}"
            )
        if self.hypergradient == "exact" and self.optimizer != "sgd":
            raise ConfigError("train.hypergradient = 'exact' needs train.optimizer = 'sgd'")
        if self.hypergradient == "fd" and self.precision != "fp32":
            raise ConfigError("train.hypergradient = 'fd' needs train.precision = 'fp32'")

    @property
    def outcome_only(self) -> bool:
        """Whether the model learns nothing but outcomes, and is read at its last step."""
        return self.labels == "outcome"

    @property
    def corrects(self) -> bool:
        """Whether rewards of steps are corrected."""
        return not self.outcome_only and self.correction.name != "none"

    @property
    def main_differs(self) -> bool:
        """Whether the main phase fits something else than the warm-up."""
        return not self.outcome_only and (self.clean_outcomes or self.corrects)

    @property
    def summary(self) -> str:
        """What the model learns from, in words."""
        parts = {
            "outcomes": self.outcome_only,
            "steps": not self.outcome_only,
            "clean outcomes": not self.outcome_only and self.clean_outcomes,
            self.correction.name: self.corrects,
            "pairs": self.pairwise > 0,
        }
        return ", ".join(name for name, holds in parts.items() if holds)

    def aggregator(self, wanted: str = "mean") -> str:
        """The aggregator for the model's step scores where `wanted` is that of all others."""
        return "last" if self.outcome_only else wanted

    def _require_at_least(self, least: int, *names: str) -> None:
        for name in names:
            if not getattr(self, name) >= least:
                got = getattr(self, name)
                raise ConfigError(f"train.{name} = {got}: expected {least} or more")


def component_settings(options: Mapping[str, Any], default: str = "") -> dict[str, Any]:
    """A part's table as the fields of `ComponentConfig`."""
    options = dict(options)
    return {"name": options.pop("name", default), "options": options}


def train_settings(tree: Mapping[str, Any], where: str, table: str) -> dict[str, Any]:
    """A table of training settings with its correction as the fields of `ComponentConfig`.

    Args:
        tree: as parsed; `correction` is a name, or a table of its name and options.
        where: of the table, for messages.
        table: its dotted name, for messages.

    Raises:
        ConfigError: settings of an earlier version; says what to write in their place.
    """
    earlier = {key: tree[key] for key in ("mode", "correction_lr", "prior") if key in tree}
    if earlier:
        was = ", ".join(f"{table}.{key} = {_toml(value)}" for key, value in earlier.items())
        raise ConfigError(
            f"{where}: {was}: a setting of an earlier version; write {_in_place_of(**earlier)}"
        )
    tree = dict(tree)
    if isinstance(tree.get("correction"), str):
        tree["correction"] = {"name": tree["correction"]}
    if isinstance(tree.get("correction"), dict):
        tree["correction"] = component_settings(tree["correction"], "table")
    return tree


def _in_place_of(mode: object = "table", correction_lr: object = None, prior: object = None) -> str:
    """The lines that say what settings of an earlier version said."""
    options = {"lr": correction_lr, "prior": prior}
    given = "".join(f", {k} = {_toml(v)}" for k, v in options.items() if v is not None)
    corrected = f"{{ name = {_toml(mode)}{given} }}" if given else _toml(mode)
    lines = {
        "orm": 'labels = "outcome"',
        "none": 'clean_outcomes = false and correction = "none"',
        "joint": 'correction = "none"',
    }
    return lines.get(str(mode), f"correction = {corrected}")


def _toml(value: object) -> str:
    return json.dumps(value)
