"""A run's settings: TOML to frozen dataclasses. A key here is a constructor argument."""

from dataclasses import dataclass
from typing import Literal

from funprm.errors import ConfigError

Mode = Literal["orm", "none", "joint", "table", "reweight", "table+reweight"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How one reward model is trained (method: arXiv 2601.22249; see docs/method.md)."""

    mode: Mode = "table"
    base: str = "tiny"
    """Folder or hub name of the causal language model whose trunk is used; `tiny` is shipped."""
    marker: str = ""
    """Token that ends a step; empty: the tokenizer's own reserved one, chosen by the renderer."""
    tuning: Literal["full", "lora"] = "full"
    lora_rank: int = 8
    lora_alpha: int = 16
    loss: Literal["bce", "mse"] = "bce"
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
    """Epochs on uncorrected rewards before the correction starts (modes that correct)."""
    evaluate_every: float = 1.0
    """Epochs between validations; the best checkpoint on validation problems is kept."""
    hypergradient: Literal["auto", "exact", "jvp", "fd"] = "auto"
    correction_lr: float = 0.05
    """mu: step of the corrected rewards, in units of h's running RMS."""
    prior: float = 0.1
    """lambda: pull of a corrected reward to its measurement, per posterior variance."""
    max_tokens: int = 2048
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third more time."""
    device: str = "auto"

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: a value is out of its range, or two settings exclude each other.
        """
        self._require_at_least(1, "lora_rank", "lora_alpha", "batch", "accumulate", "max_tokens")
        self._require_at_least(0, "weight_decay", "clip", "warmup_epochs", "prior", "seed")
        for name in ("lr", "head_lr_factor", "epochs", "evaluate_every", "correction_lr"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"train.{name} = {getattr(self, name)}: expected more than 0")
        if self.warmup_epochs >= self.epochs and self.mode not in ("orm", "none"):
            raise ConfigError(
                f"train.warmup_epochs = {self.warmup_epochs}: "
                f"expected less than train.epochs = {self.epochs}"
            )
        if self.hypergradient == "exact" and self.optimizer != "sgd":
            raise ConfigError("train.hypergradient = 'exact' needs train.optimizer = 'sgd'")
        if self.hypergradient == "fd" and self.precision != "fp32":
            raise ConfigError("train.hypergradient = 'fd' needs train.precision = 'fp32'")

    def _require_at_least(self, least: int, *names: str) -> None:
        for name in names:
            if not getattr(self, name) >= least:
                got = getattr(self, name)
                raise ConfigError(f"train.{name} = {got}: expected {least} or more")
