import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from funprm.config import TrainConfig
from funprm.errors import ConfigError
from funprm.prm.training import preparation
from funprm.prm.training.identity import settings_of
from funprm.prm.training.loop import train
from funprm.prm.training.side_by_side import train_all
from funprm.records import Json
from tests.prm.world import learns, rows_of, small_data

DATA = small_data()
MODULE = "torch.utils.tensorboard"

Points = list[tuple[str, float, int]]


class InterruptedRunError(Exception):
    pass


def config(base: Path, **changes: Any) -> TrainConfig:
    frozen: dict[str, Any] = {"tuning": "frozen", "device": "cpu", "batch": 8, "max_tokens": 64}
    epochs: dict[str, Any] = {"epochs": 2.0, "warmup_epochs": 1.0, "evaluate_every": 0.5}
    return TrainConfig(base=str(base), **(frozen | epochs | changes))


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Points:
    """What was written, by a stand-in for the optional package."""
    written: Points = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder.endswith("tensorboard")

        def add_scalar(self, tag: str, value: float, step: int) -> None:
            written.append((tag, value, step))

        def flush(self) -> None:
            pass

        def close(self) -> None:
            pass

    module = ModuleType(MODULE)
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, MODULE, module)
    return written


def test_curves_say_how_the_correction_goes(base: Path, tmp_path: Path) -> None:
    train(config(base, **learns("table")), DATA, tmp_path)
    rows = rows_of(tmp_path / "curves.jsonl")
    assert all(row["tokens_per_second"] > 0 and row["peak_memory"] > 1e7 for row in rows)
    correct = [row for row in rows if row["phase"] == "correct"]
    assert len(correct) > 1
    assert all("outer_loss" not in row for row in rows if row not in correct)
    for row in correct:
        assert 0 < row["outer_loss"] < 1
        says = row["correction"]
        assert 0 < says["touched"] <= 1
        assert list(says["shift"].values()) == sorted(says["shift"].values())
    assert says["touched"] == 1.0
    assert says["signal_to_noise"] > 0


def test_scalars_are_written_once_each(base: Path, tmp_path: Path, points: Points) -> None:
    settings = config(base, **learns("table"), tensorboard=True)

    def stop(entry: dict[str, Json]) -> None:
        if entry["phase"] == "correct" and entry["step"] == 5:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        train(settings, DATA, tmp_path, report=stop)
    assert points
    train(settings, DATA, tmp_path)
    assert len({(tag, step) for tag, _, step in points}) == len(points)
    rows = rows_of(tmp_path / "curves.jsonl")
    found = {(tag, step): value for tag, value, step in points}
    assert {step for tag, step in found if tag == "main/loss"} == {
        row["step"] for row in rows if row["phase"] == "main"
    }
    for row in rows:
        name, step = row["phase"], row["step"]
        assert found[f"{name}/loss", step] == row["loss"]
        if name == "correct":
            assert found["correct/shift/q50", step] == row["correction"]["shift"]["q50"]
        if "validation" in row:
            best = row["validation"]["best_of_n"]["mean"]
            assert found["main/validation/best_of_n/mean", step] == best


def test_without_the_package_nothing_starts(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)
    monkeypatch.setattr(preparation, "open_base", lambda _: pytest.fail("started"))
    settings = config(base, **learns("none"), tensorboard=True)
    with pytest.raises(ConfigError, match=r"pip install 'funprm\[tensorboard\]'") as error:
        train(settings, DATA, tmp_path / "one")
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="needs the package tensorboard"):
        train_all({"a": config(base), "b": settings}, DATA, tmp_path, lambda _: None)
    assert not list(tmp_path.iterdir())


def test_it_does_not_determine_results(base: Path) -> None:
    assert settings_of(config(base)) == settings_of(config(base, tensorboard=True))
