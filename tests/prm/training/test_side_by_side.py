from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from funprm.config import TrainConfig
from funprm.errors import TrainingError
from funprm.prm.training import side_by_side
from funprm.prm.training.data import TrainingData
from funprm.prm.training.side_by_side import train_all
from funprm.records import Json
from tests.prm.world import draw_programs, learns

RNG = np.random.default_rng(1)
DATA = TrainingData(
    train=draw_programs("t", 10, 3, RNG),
    meta=draw_programs("m", 5, 3, RNG),
    validation=draw_programs("v", 4, 4, RNG),
)


def configs(base: Path) -> dict[str, TrainConfig]:
    modes = {"orm": "orm", "prm": "none", "funprm": "table"}
    return {
        name: TrainConfig(
            **learns(mode),
            base=str(base),
            device="cpu",
            batch=8,
            epochs=1.0,
            warmup_epochs=0.5,
            max_tokens=64,
        )
        for name, mode in modes.items()
    }


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = (folder / "model").glob("*.safetensors")
    return load_file(path)


def test_side_by_side_is_the_same_as_one_after_the_other(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Json] = []
    monkeypatch.setattr(side_by_side, "_processes", lambda configs: 2)
    together = train_all(configs(base), DATA, tmp_path / "together", events.append)
    monkeypatch.setattr(side_by_side, "_processes", lambda configs: 1)
    alone = train_all(configs(base), DATA, tmp_path / "alone", lambda event: None)
    assert list(together) == list(alone) == ["orm", "prm", "funprm"]
    assert sum(event["advance"] for event in events) > 0
    for name in together:
        assert together[name].validation == alone[name].validation
        first, second = (weights(tmp_path / way / name) for way in ("together", "alone"))
        assert all(torch.equal(first[key], second[key]) for key in first)
    again: list[Json] = []
    train_all(configs(base), DATA, tmp_path / "together", again.append)
    assert again == []


def test_what_a_worker_raises_is_raised(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "_processes", lambda configs: 2)
    data = TrainingData(train=DATA.train, meta=(), validation=DATA.validation)
    with pytest.raises(TrainingError):
        train_all(configs(base), data, tmp_path, lambda event: None)


def test_those_that_others_wait_for_begin_first(base: Path, tmp_path: Path) -> None:
    tasks = side_by_side._longest_first(side_by_side._plan(configs(base), tmp_path))
    assert [(task.name, task.init) for task in tasks] == [
        ("prm", ""),
        ("funprm", "prm"),
        ("orm", ""),
    ]
