"""What every correction is promised, and one of somebody else from entry point to trained model."""

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from funprm import registry
from funprm.config import ComponentConfig, TrainConfig, parse_config
from funprm.errors import FunprmError, TrainingError
from funprm.prm.batches import CLEAN, Batch
from funprm.prm.correction.base import Correction, Evidence, build_correction, fitted, weighted
from funprm.prm.correction.exam import batches, evidence
from funprm.prm.records import CorrectedReward, read_corrected
from funprm.prm.training.identity import settings_of, shares_warmup
from funprm.prm.training.loop import train
from tests.docs import install
from tests.prm.world import program, small_data

OWN = """
from funprm.prm.correction.base import Correction


class Shrunk(Correction):
    def __init__(self, strength: float = 2.0):
        self.strength = strength

    def prepare(self, evidence, seed):
        mean = evidence.k.sum() / evidence.n.sum()
        return (evidence.k + self.strength * mean) / (evidence.n + self.strength)
"""
PROJECT = """
[project]
name = "shrunk"
version = "0.1"
[project.entry-points."funprm.corrections"]
shrunk = "shrunk_rewards:Shrunk"
"""
SETTINGS = """
output = "unused"
[dataset]
name = "mini"
[models.own]
correction = { name = "shrunk", strength = 4 }
[models.named]
correction = "shrunk_rewards:Shrunk"
"""


class Loud(Correction):
    """Says something of every row, clean ones, too."""

    def rewards(self, batch: Batch) -> Tensor:
        return torch.full_like(batch.targets, 0.25, dtype=torch.float64)

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        return torch.full_like(batch.targets, 0.5)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with a package of somebody else."""
    (tmp_path / "shrunk_rewards.py").write_text(OWN)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("shrunk_rewards", None)


def test_evidence_has_one_row_per_prefix_with_completions() -> None:
    programs = [
        program("p", "ab", [3, 1], [4, 1]),
        program("p", "ax", [1, 0], [8, 1]),
        program("p", "ac", [3, 0], [4, 0]),
        program("q", "cab", [0, 1, 0], [0, 2, 1]),
    ]
    known = Evidence.of(programs)
    assert list(known.prefixes) == [programs[0].prefixes[0], programs[3].prefixes[1]]
    assert (known.k.tolist(), known.n.tolist()) == ([1, 1], [8, 2])
    assert (known.passed.tolist(), known.programs.tolist()) == ([1, 0], [2, 1])
    first = next(iter(known.records(weights=[0.5, 1.0])))
    assert first == CorrectedReward(
        prefix=programs[0].prefixes[0], k=1, n=8, reward=0.125, weight=0.5
    )


def test_rows_of_clean_labels_keep_reward_and_weight() -> None:
    batch, logits = next(batches(evidence()))
    clean = batch.rows == CLEAN
    found = fitted(Loud(), batch)
    assert found.targets.dtype == torch.float32
    assert torch.equal(found.targets[clean], batch.targets[clean])
    assert set(found.targets[~clean].tolist()) == {0.25}
    omega = weighted(Loud(), logits, found)
    assert torch.equal(omega, torch.where(clean, 1.0, 0.5) * batch.weights)


def test_without_a_correction_nothing_changes() -> None:
    batch, logits = next(batches(evidence()))
    assert torch.equal(fitted(Correction(), batch).targets, batch.targets)
    assert torch.equal(weighted(Correction(), logits, batch), batch.weights)


@pytest.mark.parametrize("name", registry.names("corrections"))
def test_every_part_is_built_by_its_name(name: str) -> None:
    assert isinstance(
        build_correction(TrainConfig(correction=ComponentConfig(name=name))), Correction
    )


def test_warmups_are_shared_where_they_are_on_rewards_as_measured() -> None:
    configs = {
        name: TrainConfig(correction=ComponentConfig(name=name))
        for name in registry.names("corrections")
    }
    shared = {name for name, config in configs.items() if shares_warmup(configs["none"], config)}
    assert shared == {"none", "table", "reweight", "table+reweight"}
    plain = replace(configs["none"], clean_outcomes=False)
    assert shares_warmup(plain, configs["table"])
    assert settings_of(plain) != settings_of(configs["none"])
    assert not shares_warmup(configs["none"], replace(configs["table"], labels="outcome"))


def test_a_correction_of_ones_own_trains_from_a_toml_file(own: Path, base: Path) -> None:
    models = parse_config(tomllib.loads(SETTINGS)).models
    small: dict[str, Any] = {
        "base": str(base),
        "tuning": "frozen",
        "device": "cpu",
        "max_tokens": 64,
    }
    for name, strength in (("own", 4.0), ("named", 2.0)):
        result = train(
            replace(models[name], **small, epochs=1.0, warmup_epochs=0.5), small_data(), own / name
        )
        assert result.validation is not None
        found = read_corrected(own / name).values()
        mean = sum(item.k for item in found) / sum(item.n for item in found)
        for item in found:
            assert item.reward == pytest.approx(
                (item.k + strength * mean) / (item.n + strength), abs=1e-12
            )


@pytest.mark.parametrize(
    ("correction", "message"),
    [
        ({"name": "shrink"}, "unknown correction 'shrink': did you mean 'shrunk'"),
        ({"name": "shrunk", "strenght": 1}, "no setting 'strenght': did you mean 'strength'"),
        ({"name": "shrunk", "strength": "much"}, "strength = 'much' is not usable"),
        ({"name": "shrunk_rewards:Shrink"}, "cannot be loaded from shrunk_rewards:Shrink"),
        ({"name": "absent_rewards:Shrunk"}, "needs the package 'absent_rewards'"),
        ({"name": "table", "lr": 0.0}, "lr = 0.0, prior = 0.1: expected lr above 0"),
    ],
)
def test_wrong_corrections_are_named(
    own: Path, correction: dict[str, object], message: str
) -> None:
    settings = {
        "output": "x",
        "dataset": {"name": "mini"},
        "models": {"m": {"correction": correction}},
    }
    with pytest.raises(FunprmError, match=message):
        build_correction(parse_config(settings).models["m"])


def test_rewards_that_cannot_be_used_are_refused(own: Path, base: Path) -> None:
    wrong = own / "shrunk_rewards.py"
    wrong.write_text(OWN.replace("return (", "return 2 + ("))
    config = TrainConfig(
        correction=ComponentConfig(name="shrunk"), base=str(base), tuning="frozen", device="cpu"
    )
    with pytest.raises(TrainingError, match=r"gave rewards .* expected \d+ numbers in \[0, 1\]"):
        train(config, small_data(), own / "model")


def test_records_outlive_a_file(tmp_path: Path) -> None:
    line = '{"prefix": "a", "k": 1, "n": 4, "reward": 0.3, "weight": 1.5}\n'
    (tmp_path / "corrected.jsonl").write_text(line)  # as older versions wrote it
    assert read_corrected(tmp_path)["a"].weight == 1.5
    assert read_corrected(tmp_path / "absent") == {}
    assert np.isclose(read_corrected(tmp_path)["a"].reward, 0.3)
