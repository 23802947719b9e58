"""A run's settings: TOML to frozen dataclasses. A key here is a constructor argument."""

import json
import re
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from funprm.errors import ConfigError, InputError, nearest
from funprm.interfaces import TEMPLATE
from funprm.records import Split

_MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""Models are folders, and part of selectors' names."""


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
        if self.outcome_only:
            return "outcomes"
        parts = ["steps", *(["clean outcomes"] if self.clean_outcomes else [])]
        return ", ".join([*parts, *([self.correction.name] if self.corrects else [])])

    def aggregator(self, wanted: str = "mean") -> str:
        """The aggregator for the model's step scores where `wanted` is that of all others."""
        return "last" if self.outcome_only else wanted

    def _require_at_least(self, least: int, *names: str) -> None:
        for name in names:
            if not getattr(self, name) >= least:
                got = getattr(self, name)
                raise ConfigError(f"train.{name} = {got}: expected {least} or more")


def _require_at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ConfigError(f"{name} = {value}: expected {least} or more")


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """How many programs are sampled per problem."""

    n: int = 8

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigError(f"generate.n is {self.n}: expected at least one program")


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How prefixes are completed (method.md: k of K completions pass)."""

    k: int = 8
    """Completions per prefix; 0: no rollouts, only complete programs are labelled."""
    splits: tuple[Split, ...] = ("train",)
    max_steps: int = 12
    """Programs with more steps have their shortest neighbours merged; 0: no cap."""

    def __post_init__(self) -> None:
        _require_at_least(0, **{"rollout.k": self.k, "rollout.max_steps": self.max_steps})


@dataclass(frozen=True, kw_only=True)
class SelectConfig:
    """Which selectors are compared, and how step scores are aggregated."""

    selectors: tuple[str, ...] = ()
    """Empty: all that the run's data allow."""
    aggregator: str = "mean"
    """Step scores to one number; a model with `labels = "outcome"` always uses `last`."""
    baseline: str = "random"
    """The selector that differences and McNemar's test refer to."""
    bootstrap: int = 10_000
    """Resamples of problems behind every interval."""

    def __post_init__(self) -> None:
        _require_at_least(1, **{"select.bootstrap": self.bootstrap})


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run: from problems to a report."""

    output: str
    """The run folder."""
    dataset: ComponentConfig
    policy: ComponentConfig | None = None
    """Writes the programs; needed from the stage `generate` on."""
    title: str = "FunPRM run"
    seed: int = 0
    completer: ComponentConfig | None = None
    """Policy that completes prefixes; default: `policy`."""
    executor: ComponentConfig = field(default_factory=lambda: ComponentConfig(name="local"))
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    models: Mapping[str, TrainConfig] = field(default_factory=dict)
    """Reward models to train, by name; empty: none."""
    select: SelectConfig = field(default_factory=SelectConfig)

    def needed_policy(self) -> ComponentConfig:
        """The policy, where one is needed.

        Raises:
            ConfigError: there is none.
        """
        if self.policy is None:
            raise ConfigError(
                "no table [policy]: programs are to be written, and only `load` does without; "
                'give one, such as name = "replay" with the path of recorded programs'
            )
        return self.policy


def load_config(
    path: Path | None,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Read a run's TOML file.

    `[train]` holds defaults for every table of `[models]`; their seed is the run's by default.

    Args:
        path: the file; None: the defaults alone.
        overrides: values that replace the file's, by dotted key (`seed`, `policy.model`).
        defaults: tables that the file may leave out.

    Raises:
        InputError: no such file.
        ConfigError: not TOML, an unknown key (names the nearest), or a value of the wrong type.
    """
    tree = {**deepcopy(dict(defaults or {})), **(_read_toml(path) if path else {})}
    for key, value in (overrides or {}).items():
        _replace(tree, key, value)
    return parse_config(tree, where=str(path or "settings"))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"no configuration file at {path}: give the path of a TOML file"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def parse_override(text: str) -> tuple[str, Any]:
    """`key=value` from the command line; a value that is no TOML is a string.

    >>> parse_override("generate.n=4"), parse_override("policy.model=tiny")
    (('generate.n', 4), ('policy.model', 'tiny'))

    Raises:
        ConfigError: no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text!r}: expected key=value, such as generate.n=4")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def _replace(tree: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401
    *tables, last = key.split(".")
    for table in tables:
        tree = tree.setdefault(table, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {key}: {table!r} is a value, not a table")
    tree[last] = value


def parse_config(tree: Mapping[str, Any], where: str = "configuration") -> RunConfig:
    """A parsed TOML tree as `RunConfig`; errors as in `load_config`."""
    tree = dict(tree)
    defaults = {
        "seed": tree.get("seed", 0),
        **train_settings(tree.pop("train", {}), where, "train"),
    }
    for name in tree.get("models", ()):
        if not _MODEL_NAME.fullmatch(name):
            raise ConfigError(
                f"{where}: model name {name!r}: expected letters, digits, `_`, `-` and `.`, and a "
                "letter or digit first"
            )
    if "models" in tree:
        tree["models"] = {
            name: {**defaults, **train_settings(model, where, f"models.{name}")}
            for name, model in tree["models"].items()
        }
    for part in ("dataset", "policy", "completer", "executor"):
        if isinstance(tree.get(part), dict):
            options = dict(tree[part])
            if part in ("policy", "completer") and "prompt_file" in options:
                options["prompt"] = _template(part, options)
            tree[part] = _component(options, "local" if part == "executor" else "")
    _check_keys(tree, RunConfig, where, "")
    try:
        return msgspec.convert(tree, RunConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {str(error).replace('$.', '')}") from error


def _component(options: Mapping[str, Any], default: str = "") -> dict[str, Any]:
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
        tree["correction"] = _component(tree["correction"], "table")
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


def _template(part: str, options: dict[str, Any]) -> str:
    """The prompt that `prompt_file` holds: the text is a setting, so that a run knows it."""
    name = options.pop("prompt_file")
    if "prompt" in options:
        raise ConfigError(f"{part}: both prompt and prompt_file are set: expected one of them")
    return read_template(str(name), f"{part}.prompt_file")


def read_template(name: str, where: str) -> str:
    """A template of one's own as a prompt style.

    Args:
        name: the file.
        where: what names it, for the error.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return TEMPLATE + Path(name).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{where}: cannot read {name!r} ({error}): expected a text with {{{{statement}}}}, "
            "see docs/prompts.md"
        ) from error


def _check_keys(tree: Mapping[str, Any], kind: type[Any], where: str, prefix: str) -> None:
    """Refuse unknown keys: msgspec ignores them for dataclasses."""
    known = {item.name for item in fields(kind)}
    hints = get_type_hints(kind)
    for key, value in tree.items():
        if key not in known:
            raise ConfigError(f"{where}: unknown key {prefix + key!r}: {nearest(key, known)}")
        if not isinstance(value, dict) or key == "options":
            continue
        inner = [hint for hint in (hints[key], *get_args(hints[key])) if is_dataclass(hint)]
        if key == "models":
            for name, model in value.items():
                _check_keys(model, TrainConfig, where, f"models.{name}.")
        elif inner and isinstance(inner[0], type):
            _check_keys(value, inner[0], where, f"{prefix}{key}.")
