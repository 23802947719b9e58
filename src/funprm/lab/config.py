"""Settings of a laboratory: TOML to frozen dataclasses, as for runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from funprm.config import put_setting, read_toml
from funprm.errors import ConfigError, nearest
from funprm.records import Json
from funprm.training_config import TrainConfig, train_settings


@dataclass(frozen=True, kw_only=True)
class SizeConfig:
    """How many problems, programs and completions one seed has."""

    train: int = 150
    meta: int = 50
    validation: int = 100
    test: int = 300
    programs: int = 8
    """Programs per problem of all splits but test."""
    candidates: int = 32
    """Programs per test problem."""
    rollouts: int = 16
    """Completions per train prefix by the policy itself; fewer are its first ones."""
    weak_rollouts: int = 8
    """Completions per train prefix by each weaker completer."""
    truth: int = 128
    """Further completions, by the policy, behind every true value."""
    truth_train: int = 200
    """Train prefixes whose true value is measured: there rewards' errors are taken."""
    truth_test: int = 150
    """Test prefixes whose true value is measured: there step AUC is taken."""

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: a number is below 1.
        """
        for item in fields(self):
            if getattr(self, item.name) < 1:
                raise ConfigError(f"sizes.{item.name} = {getattr(self, item.name)}: expected >= 1")


@dataclass(frozen=True, kw_only=True)
class LabConfig:
    """One laboratory: every method under every corruption on every seed."""

    output: str
    """The folder of all results."""
    title: str = "FunPRM laboratory"
    seeds: int = 10
    """Seeds 0 to `seeds` - 1; a seed moves problems, sampling, corruption and training."""
    processes: int = 0
    """Seeds worked on side by side, one thread each; 0: one per core."""
    sizes: SizeConfig = field(default_factory=SizeConfig)
    hot: float = 1.6
    """Temperature of the completer `hot`; the policy's is 1."""
    corruptions: tuple[str, ...] = ()
    """Empty: all of `corruptions.STANDARD`."""
    methods: tuple[str, ...] = ()
    """Empty: all of `methods.STANDARD`."""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(tuning="frozen"))
    """Training of every method, which says itself what it learns from; the seed is the cell's."""

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: a value is out of its range.
        """
        if self.seeds < 1 or self.processes < 0:
            raise ConfigError(
                f"seeds = {self.seeds}, processes = {self.processes}: "
                "expected 1 or more seeds and 0 or more processes"
            )
        if not self.hot > 1:
            raise ConfigError(f"hot = {self.hot}: expected a temperature above the policy's 1")


def shipped(name: str) -> Path:
    """The TOML file of a shipped laboratory: `lab` or `lab-quick`."""
    return Path(str(resources.files("funprm.lab").joinpath(f"{name}.toml")))


def load_lab(path: Path, overrides: Mapping[str, Json] | None = None) -> LabConfig:
    """Read a laboratory's TOML file.

    Args:
        path: the file.
        overrides: values that replace the file's, by dotted key (`seeds`, `train.epochs`).

    Raises:
        InputError: no such file.
        ConfigError: not TOML, an unknown key (names the nearest), or a wrong value.
    """
    tree = read_toml(path)
    for key, value in (overrides or {}).items():
        put_setting(tree, key, value)
    if isinstance(tree.get("train"), dict):
        tree["train"] = train_settings(tree["train"], str(path), "train")
    _check_keys(tree, LabConfig, str(path), "")
    try:
        return msgspec.convert(tree, LabConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {str(error).replace('$.', '')}") from error


def _check_keys(tree: Mapping[str, Any], kind: type[Any], where: str, prefix: str) -> None:
    hints = get_type_hints(kind)
    for key, value in tree.items():
        if key not in hints:
            raise ConfigError(f"{where}: unknown key {prefix + key!r}: {nearest(key, hints)}")
        if isinstance(value, dict) and is_dataclass(hints[key]) and key != "correction":
            _check_keys(value, hints[key], where, f"{prefix}{key}.")
