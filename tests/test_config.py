import re
from collections import Counter
from pathlib import Path

import pytest

from funprm import registry
from funprm.config import ComponentConfig, load_config, parse_config
from funprm.datasets.base import ProblemHeader
from funprm.errors import ConfigError, InputError
from funprm.training_config import component_settings

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
            "models": {"orm": {"labels": "outcome"}, "prm": {"epochs": 5.0}},
        }
    )
    assert (config.models["orm"].epochs, config.models["prm"].epochs) == (3.0, 5.0)
    assert [config.models[name].outcome_only for name in ("orm", "prm")] == [True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sead": 1}, "unknown key 'sead': did you mean 'seed'"),
        ({"generate": {"m": 1}}, r"unknown key 'generate\.m'"),
        (
            {"models": {"a": {"label": "x"}}},
            r"unknown key 'models\.a\.label': did you mean 'labels'",
        ),
        ({"generate": {"n": "eight"}}, "Expected `int`, got `str`"),
        ({"models": {"a": {"labels": "best"}}}, "Invalid enum value 'best'"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({**MINIMAL, **change})


def test_a_correction_is_a_name_or_a_table() -> None:
    tables = {
        "a": {"correction": "posterior"},
        "b": {"correction": {"name": "table", "prior": 0.2}},
        "c": {"correction": {"prior": 0.3}},
        "d": {},
        "e": {"labels": "outcome"},
    }
    models = parse_config({**MINIMAL, "models": tables}).models
    found = {n: (m.correction.name, dict(m.correction.options)) for n, m in models.items()}
    assert found["a"] == ("posterior", {})
    assert found["b"] == ("table", {"prior": 0.2})
    assert found["c"] == ("table", {"prior": 0.3})
    assert found["d"] == ("table", {})
    assert [m.corrects for m in models.values()] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("earlier", "lines"),
    [
        ({"mode": "orm"}, 'write labels = "outcome"'),
        ({"mode": "none"}, 'write clean_outcomes = false and correction = "none"'),
        ({"mode": "joint"}, 'write correction = "none"'),
        ({"mode": "table+reweight"}, 'write correction = "table+reweight"'),
        ({"mode": "table", "prior": 0.2}, 'correction = { name = "table", prior = 0.2 }'),
        ({"correction_lr": 0.1}, 'correction = { name = "table", lr = 0.1 }'),
    ],
)
def test_settings_of_earlier_versions_are_told_what_to_write(
    earlier: dict[str, object], lines: str
) -> None:
    for tree in ({"models": {"m": earlier}}, {"train": earlier}):
        with pytest.raises(ConfigError, match=re.escape(lines)) as error:
            parse_config({**MINIMAL, **tree})
        assert "\n" not in str(error.value)
        assert "of an earlier version" in str(error.value)


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


def test_a_prompt_from_a_file_is_part_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Solve.\n\n{{statement}}\n")
    policy = {"name": "huggingface", "prompt_file": str(path)}
    config = parse_config({**MINIMAL, "policy": policy, "completer": policy})
    assert config.needed_policy().options == {"prompt": "template:Solve.\n\n{{statement}}"}
    assert config.completer == config.policy
    with pytest.raises(ConfigError, match="policy: both prompt and prompt_file are set"):
        parse_config({**MINIMAL, "policy": {**policy, "prompt": "plain"}})
    with pytest.raises(InputError, match=r"policy.prompt_file: cannot read .*absent"):
        parse_config({**MINIMAL, "policy": {**policy, "prompt_file": str(tmp_path / "absent")}})


def test_the_executor_is_the_local_one_unless_named() -> None:
    config = parse_config({**MINIMAL, "executor": {"workers": 1}})
    assert (config.executor.name, config.executor.options) == ("local", {"workers": 1})


ROOT = Path(__file__).parents[1]
SHIPPED = [*sorted(ROOT.glob("configs/*.toml")), *sorted(ROOT.glob("src/funprm/demo/*.toml"))]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_configurations_that_train_have_problems_to_train_on(path: Path) -> None:
    """Files: of a thousand dated problems before the test window, some fall to every split."""
    config = load_config(path)
    if not config.models or config.dataset.name == "mini":
        return
    part = config.dataset
    if part.name == "combined":  # the first one is for training
        label, options = next(iter(part.options["parts"].items()))
        part = ComponentConfig(**component_settings(options, label))
    data = registry.build("datasets", part.name, part.options)
    facts = [ProblemHeader(problem_id=str(number), day="2024-01-01") for number in range(1000)]
    splits = Counter(data._split(None, fact) for fact in facts)
    assert splits["train"] > 400, splits
    assert min(splits["meta"], splits["validation"]) > 50, splits
    assert "test" not in splits


def test_every_shipped_configuration_is_valid() -> None:
    assert len(SHIPPED) > 8
    for path in SHIPPED:
        config = load_config(path)
        registry.check_options("datasets", config.dataset.name, config.dataset.options)
        registry.check_options("executors", config.executor.name, config.executor.options)
        for part in (config.policy, config.completer):
            if part is not None:
                registry.check_options("policies", part.name, part.options)
