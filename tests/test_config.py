from pathlib import Path

import pytest

from funprm import registry
from funprm.config import load_config, parse_config
from funprm.errors import ConfigError, InputError

MINIMAL = {"output": "runs/x", "dataset": {"name": "mini"}, "policy": {"name": "huggingface"}}


def test_a_minimal_run() -> None:
    config = parse_config(MINIMAL)
    assert config.dataset.name == "mini"
    assert config.generate.n == 8
    assert config.models == {}


def test_train_holds_defaults_for_all_models() -> None:
    config = parse_config(
        {
            **MINIMAL,
            "train": {"epochs": 3},
            "models": {"orm": {"mode": "orm"}, "prm": {"mode": "none", "epochs": 5.0}},
        }
    )
    assert (config.models["orm"].epochs, config.models["prm"].epochs) == (3.0, 5.0)
    assert config.models["orm"].mode == "orm"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sead": 1}, "unknown key 'sead': did you mean 'seed'"),
        ({"generate": {"m": 1}}, r"unknown key 'generate\.m'"),
        ({"models": {"a": {"moda": "orm"}}}, r"unknown key 'models\.a\.moda': did you mean 'mode'"),
        ({"generate": {"n": "eight"}}, "Expected `int`, got `str`"),
        ({"models": {"a": {"mode": "best"}}}, "Invalid enum value 'best'"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({**MINIMAL, **change})


def test_a_missing_table_is_named() -> None:
    with pytest.raises(ConfigError, match="dataset"):
        parse_config({"output": "x", "policy": {"name": "replay"}})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no configuration file"):
        load_config(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = [")
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(broken)


def test_every_shipped_configuration_is_valid() -> None:
    root = Path(__file__).parents[1]
    shipped = [*root.glob("configs/*.toml"), *root.glob("src/funprm/demo/*.toml")]
    assert shipped
    for path in shipped:
        config = load_config(path)
        registry.check_options("datasets", config.dataset.name, config.dataset.options)
        registry.check_options("executors", config.executor.name, config.executor.options)
        for part in (config.policy, config.completer):
            if part is not None:
                registry.check_options("policies", part.name, part.options)
