"""A run's settings: TOML to frozen dataclasses. A key here is a constructor argument."""

import re
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from funprm.errors import ConfigError, InputError, nearest
from funprm.interfaces import TEMPLATE
from funprm.records import Split
from funprm.training_config import ComponentConfig as ComponentConfig
from funprm.training_config import TrainConfig as TrainConfig
from funprm.training_config import component_settings, train_settings

_MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""Of models, which are folders, and scorers; both are parts of selectors' names."""


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
    search: ComponentConfig | None = None
    """How `solve` looks for the programs, by step scores; without it `generate.n` are sampled."""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    models: Mapping[str, TrainConfig] = field(default_factory=dict)
    """Reward models to train, by name; empty: none."""
    scorers: Mapping[str, ComponentConfig] = field(default_factory=dict)
    """Reward models and judges of others that score the test candidates, by name."""
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
    tree = {**deepcopy(dict(defaults or {})), **(read_toml(path) if path else {})}
    for key, value in (overrides or {}).items():
        put_setting(tree, key, value)
    return parse_config(tree, where=str(path or "settings"))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as it stands.

    Raises:
        InputError: it cannot be read.
        ConfigError: it is no TOML.
    """
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


def put_setting(tree: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401
    """Put a value in place of a tree's, by dotted key.

    Raises:
        ConfigError: a part of the key is a value, not a table.
    """
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
    _check_names(tree, where)
    if "models" in tree:
        tree["models"] = {
            name: {**defaults, **train_settings(model, where, f"models.{name}")}
            for name, model in tree["models"].items()
        }
    for part in ("dataset", "policy", "completer", "executor", "search"):
        if isinstance(tree.get(part), dict):
            options = dict(tree[part])
            if part in ("policy", "completer") and "prompt_file" in options:
                options["prompt"] = _template(part, options)
            tree[part] = component_settings(options, "local" if part == "executor" else "")
    if isinstance(tree.get("scorers"), dict):
        tree["scorers"] = {
            name: component_settings(part) if isinstance(part, dict) else part
            for name, part in tree["scorers"].items()
        }
    _check_keys(tree, RunConfig, where, "")
    try:
        return msgspec.convert(tree, RunConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {str(error).replace('$.', '')}") from error


def _check_names(tree: Mapping[str, Any], where: str) -> None:
    """Names of models and scorers stand in file names and selectors, and tell them apart."""
    tables = {table: tree.get(table) for table in ("models", "scorers")}
    names = {table: list(found) for table, found in tables.items() if isinstance(found, dict)}
    for table, found in names.items():
        for name in found:
            if not _MODEL_NAME.fullmatch(name):
                raise ConfigError(
                    f"{where}: {table[:-1]} name {name!r}: expected letters, digits, `_`, `-` and "
                    "`.`, and a letter or digit first"
                )
    both = sorted(set(names.get("models", ())) & set(names.get("scorers", ())))
    if both:
        raise ConfigError(
            f"{where}: {both[0]!r} is in [models] and in [scorers], so that score:{both[0]} could "
            "be either: give one of them another name"
        )


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
        elif key == "scorers":
            continue  # any name; each part checks its own options
        elif inner and isinstance(inner[0], type):
            _check_keys(value, inner[0], where, f"{prefix}{key}.")
