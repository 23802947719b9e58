"""A model's folder says how programs are to be cut, and which scores count."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from funprm.config import TrainConfig
from funprm.errors import ModelError
from funprm.prm.models.opening import SETTINGS, merge, open_base, save
from funprm.prm.reading import Reading, reading_of
from funprm.prm.scoring import PrmScorer
from funprm.prm.training.loop import train
from funprm.steps import STEP_RULE
from tests.prm.world import draw_programs, learns, make_base, small_data

PROGRAMS = draw_programs("p", 4, 3, np.random.default_rng(0))


def trained(base: Path, folder: Path, mode: str = "none", **changes: Any) -> Path:
    config = TrainConfig(
        base=str(base),
        device="cpu",
        **learns(mode),
        max_tokens=64,
        epochs=1.0,
        warmup_epochs=0.5,
        tuning="frozen",
    )
    train(config, replace(small_data(), **changes), folder)
    return folder / "model"


def edited(model: Path, copy: Path, **changes: Any) -> Path:
    """A copy with other settings; None takes one away."""
    shutil.copytree(model, copy)
    settings = json.loads((copy / SETTINGS).read_text()) | changes
    kept = {name: value for name, value in settings.items() if value is not None}
    (copy / SETTINGS).write_text(json.dumps(kept))
    return copy


@pytest.fixture(scope="module")
def model(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(base, tmp_path_factory.mktemp("trained"), max_steps=2)


def test_training_stores_how_its_programs_were_cut(model: Path, base: Path, tmp_path: Path) -> None:
    stored = json.loads((model / SETTINGS).read_text())["reading"]
    assert stored == {"rule": STEP_RULE, "max_steps": 2, "aggregator": "mean"}
    assert PrmScorer(model, "cpu").reading == Reading(max_steps=2)
    outcome = PrmScorer(trained(base, tmp_path, "orm"), "cpu").reading
    assert outcome == Reading(max_steps=None, aggregator="last")


def test_an_outcome_model_is_read_at_its_last_step() -> None:
    assert TrainConfig(labels="outcome").aggregator("min") == "last"
    assert TrainConfig().aggregator("min") == "min"
    assert Reading(aggregator="last").aggregator_for("min") == "last"
    assert Reading(aggregator="mean").aggregator_for("min") == "min"


def test_programs_with_more_steps_than_in_training_are_refused(model: Path) -> None:
    assert max(len(p.steps) for p in PROGRAMS) == 3
    with pytest.raises(ModelError, match="cut into 3 steps, but .* trained on at most 2: set"):
        list(PrmScorer(model, "cpu").score(PROGRAMS))
    assert list(PrmScorer(model, "cpu").score([p for p in PROGRAMS if len(p.steps) < 3]))


def test_older_folders_open_by_a_clear_rule(model: Path, tmp_path: Path) -> None:
    older = edited(model, tmp_path / "older", reading=None)
    assert PrmScorer(older, "cpu").reading == Reading(rule=1, max_steps=None)
    assert list(PrmScorer(older, "cpu").score(PROGRAMS))
    assert reading_of({"mode": "orm"}, "x").aggregator == "last"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"reading": {"rule": STEP_RULE + 1}},
            "on steps by rule 2, this version .* rule 1",
        ),
        ({"reading": {"rule": 1, "max_steps": "2"}}, "`reading` is damaged"),
        ({"reading": {"rule": 1, "aggregator": "most"}}, "`reading` is damaged"),
        ({"reading": {"rules": 1}}, "`reading` is damaged"),
        ({"reading": "mean"}, "`reading` is damaged"),
        ({"rendering": 99}, "reads programs in rendering 99, this version writes 1"),
    ],
)
def test_other_readings_are_refused(
    model: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        PrmScorer(edited(model, tmp_path / "other", **changes), "cpu")


def test_the_identity_of_adapters_sees_their_base(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    config = TrainConfig(base=str(base), tuning="lora", lora_rank=2, max_tokens=64, device="cpu")
    save(open_base(config), tmp_path / "adapters", {"reading": Reading().settings()})
    before = PrmScorer(tmp_path / "adapters", "cpu").identity()
    assert PrmScorer(tmp_path / "adapters", "cpu").identity() == before
    weights = load_file(base / "model.safetensors")
    name = min(name for name in weights if "layers.1" in name)
    weights[name] += torch.ones_like(weights[name])
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    assert PrmScorer(tmp_path / "adapters", "cpu").identity() != before
    merge(tmp_path / "adapters", tmp_path / "whole")
    assert PrmScorer(tmp_path / "whole", "cpu").reading == Reading()
