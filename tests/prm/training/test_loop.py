from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from funprm.config import TrainConfig
from funprm.errors import ConfigError, ModelError, StoreError, TrainingError
from funprm.lab.methods import LEARNS
from funprm.prm.folder import load, store
from funprm.prm.scoring import PrmScorer
from funprm.prm.training import loop as training
from funprm.prm.training.loop import train
from funprm.records import Json
from tests.prm.precision import double_precision
from tests.prm.world import learns, rows_of, small_data

DATA = small_data()


@pytest.fixture
def config(base: Path) -> Callable[..., TrainConfig]:
    defaults: dict[str, Any] = {
        "base": str(base),
        "device": "cpu",
        "batch": 8,
        "epochs": 2.0,
        "warmup_epochs": 1.0,
        "evaluate_every": 0.5,
        "max_tokens": 64,
    }
    return lambda **changes: TrainConfig(**(defaults | changes))


class InterruptedRunError(Exception):
    pass


def stop_after(steps: int) -> Callable[[dict[str, Json]], None]:
    seen = 0

    def report(entry: dict[str, Json]) -> None:
        nonlocal seen
        seen += "steps" in entry
        if seen > steps:
            raise InterruptedRunError

    return report


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = (folder / "model").glob("*.safetensors")
    return load_file(path)


def curves(folder: Path) -> list[Json]:
    """The curves, without what depends on the machine."""
    measured = ("tokens_per_second", "peak_memory")
    rows = rows_of(folder / "curves.jsonl")
    assert all(row[name] > 0 for row in rows for name in measured)
    left_out = (*measured, "crc")
    return [{k: v for k, v in row.items() if k not in left_out} for row in rows]


def same(a: Path, b: Path) -> bool:
    left, right = weights(a), weights(b)
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


@pytest.mark.parametrize("mode", LEARNS)
def test_a_run_leaves_model_curves_and_result(
    config: Callable[..., TrainConfig], tmp_path: Path, mode: str
) -> None:
    result = train(config(**learns(mode)), DATA, tmp_path)
    curves = rows_of(tmp_path / "curves.jsonl")
    assert all(np.isfinite(entry["loss"]) for entry in curves)
    validated = [e["validation"]["criterion"] for e in curves if "validation" in e]
    assert result.validation is not None
    assert result.validation.criterion in validated
    assert result.validation.criterion > max(validated) - 0.2
    assert result.best_step in [e["step"] for e in curves if "validation" in e]
    assert set(result.validation.best_of_n) == {"mean", "last", "min", "product", "log_odds"}
    scores = list(PrmScorer(tmp_path / "model", "cpu").score(DATA.validation))
    assert [len(s) for s in scores] == [len(p.steps) for p in DATA.validation]
    assert result.tokens > 0
    assert train(config(**learns(mode)), DATA, tmp_path) == result
    corrected = tmp_path / "corrected.jsonl"
    assert corrected.exists() == (mode not in ("orm", "none", "joint"))
    if "table" in mode:
        rows = rows_of(corrected)
        assert result.correction["touched"] == 1.0
        assert result.rows == len(rows)
        assert all(0 <= row["reward"] <= 1 and row["n"] == 8 for row in rows)


def test_all_modes_take_the_same_number_of_steps(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    results = {
        mode: train(config(**learns(mode), epochs=1.0, warmup_epochs=0.5), DATA, tmp_path / mode)
        for mode in ("orm", "none", "joint", "table")
    }
    assert len({result.steps for result in results.values()}) == 1


@pytest.mark.parametrize("stop", [0, 3, 6, 9, 13, 16])
def test_resuming_is_bitwise(
    config: Callable[..., TrainConfig],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
) -> None:
    settings = config(
        **learns("table+reweight"), epochs=1.5, warmup_epochs=0.5, accumulate=1, batch=6
    )
    whole = tmp_path_factory.getbasetemp() / "uninterrupted"
    expected = train(settings, DATA, whole)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0 if stop % 2 else 1e9)
    with pytest.raises(InterruptedRunError):
        train(settings, DATA, tmp_path, report=stop_after(stop))
    result = train(settings, DATA, tmp_path)
    assert same(whole, tmp_path)
    assert (tmp_path / "corrected.jsonl").read_text() == (whole / "corrected.jsonl").read_text()
    assert curves(tmp_path) == curves(whole)
    assert (result.best_step, result.validation) == (expected.best_step, expected.validation)
    if stop % 2:
        assert result.tokens == expected.tokens


def test_a_shared_warmup_changes_nothing(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    train(config(**learns("none")), DATA, tmp_path / "none")
    train(config(**learns("joint")), DATA, tmp_path / "alone")
    train(config(**learns("joint")), DATA, tmp_path / "shared", init=tmp_path / "none")
    assert same(tmp_path / "alone", tmp_path / "shared")
    with pytest.raises(ConfigError, match="had other settings or data"):
        train(config(**learns("joint"), lr=1e-4), DATA, tmp_path / "x", init=tmp_path / "none")
    with pytest.raises(ConfigError, match="labels = 'outcome' has no warm-up"):
        train(config(**learns("orm")), DATA, tmp_path / "y", init=tmp_path / "none")


def test_a_saved_model_is_a_start(config: Callable[..., TrainConfig], tmp_path: Path) -> None:
    train(config(**learns("orm")), DATA, tmp_path / "orm")
    settings = config(**learns("orm"), lr=1e-12, epochs=0.1, evaluate_every=0.1)
    train(settings, DATA, tmp_path / "again", init=tmp_path / "orm")
    old, new = weights(tmp_path / "orm"), weights(tmp_path / "again")
    torch.testing.assert_close(old, new)
    with pytest.raises(ModelError, match="expected the same base and tuning"):
        train(config(**learns("none"), tuning="lora"), DATA, tmp_path / "x", init=tmp_path / "orm")


def test_micro_batches_add_up_to_one_batch(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    for name, size, parts in (("one", 8, 1), ("four", 2, 4)):
        settings = config(
            **learns("table"), batch=size, accumulate=parts, epochs=1.0, warmup_epochs=0.5
        )
        with double_precision():
            train(settings, DATA, tmp_path / name)
    one, four = (
        [row["reward"] for row in rows_of(tmp_path / name / "corrected.jsonl")]
        for name in ("one", "four")
    )
    assert four == pytest.approx(one, abs=1e-8)


def test_hypergradients_agree_in_training(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    found = {}
    for method in ("exact", "jvp", "fd"):
        settings = config(**learns("table"), hypergradient=method, optimizer="sgd", lr=0.05)
        with double_precision():
            train(settings, DATA, tmp_path / method)
        found[method] = [r["reward"] for r in rows_of(tmp_path / method / "corrected.jsonl")]
    assert found["jvp"] == pytest.approx(found["exact"], abs=1e-6)
    assert found["fd"] == pytest.approx(found["exact"], abs=1e-4)


def test_lora_and_squared_error_and_bf16(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    settings = config(
        **learns("table"),
        tuning="lora",
        lora_rank=2,
        loss="mse",
        precision="bf16",
        checkpointing=True,
    )
    train(settings, DATA, tmp_path)
    assert (tmp_path / "model" / "adapter_config.json").exists()
    assert all(t.dtype == torch.float32 for t in weights(tmp_path).values())
    assert list(PrmScorer(tmp_path / "model", "cpu").score(DATA.validation[:1]))


def test_other_settings_in_a_folder_are_refused(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    with pytest.raises(InterruptedRunError):
        train(config(**learns("none")), DATA, tmp_path, report=stop_after(6))
    with pytest.raises(StoreError, match="other settings or data"):
        train(config(**learns("none"), seed=1), DATA, tmp_path)
    train(config(**learns("none")), DATA, tmp_path)
    with pytest.raises(StoreError, match="other settings or data"):
        train(config(**learns("none")), replace(DATA, meta=()), tmp_path)


def test_unlabelled_steps_are_masked_and_long_programs_counted(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    blank = [replace(p, k=(0,) * len(p.k), n=(0,) * len(p.n)) for p in DATA.train]
    long = replace(DATA.train[0], steps=("x" * 99,), k=(1,), n=(1,), prefixes=("x",))
    mixed = replace(DATA, train=[*DATA.train, *blank, long])
    result = train(config(**learns("none"), epochs=1.0, warmup_epochs=0.0), mixed, tmp_path / "a")
    assert result.not_fitting == 1
    with pytest.raises(TrainingError, match="no labelled training program"):
        train(config(**learns("none")), replace(DATA, train=blank), tmp_path / "b")


def test_without_validation_the_last_weights_are_kept(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    result = train(config(**learns("orm")), replace(DATA, validation=()), tmp_path)
    assert (result.best_step, result.validation) == (result.steps, None)


@pytest.mark.parametrize(
    ("mode", "change", "message"),
    [
        ("table", {"meta": ()}, "the meta set is empty"),
        ("none", {"train": ()}, "no labelled training program"),
        ("orm", {"meta": DATA.train}, "one problem is in both train"),
    ],
)
def test_unusable_data_is_refused(
    config: Callable[..., TrainConfig],
    tmp_path: Path,
    mode: str,
    change: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(config(**learns(mode)), replace(DATA, **change), tmp_path)


def test_rewards_without_variety_are_refused(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    failed = [replace(p, k=(0,) * len(p.k)) for p in DATA.meta]
    with pytest.raises(TrainingError, match="all meta outcomes are 0: nothing to learn"):
        train(config(**learns("table")), replace(DATA, meta=failed), tmp_path)
    flat = [replace(p, k=(0,) * len(p.k)) for p in DATA.train]
    with pytest.raises(TrainingError, match="all training rewards are 0"):
        train(config(**learns("none")), replace(DATA, train=flat), tmp_path)


def test_divergence_names_the_step_and_keeps_the_checkpoint(
    config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    settings = config(**learns("none"), lr=1e30, clip=0.0, evaluate_every=0.1)
    with pytest.raises(TrainingError, match=r"at step \d+ of phase .*the last checkpoint is kept"):
        train(settings, DATA, tmp_path)
    assert (tmp_path / "state" / "checkpoint.pt").exists()


def test_out_of_memory_is_one_line(
    config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("funprm.prm.training.optimizer_step.Learner.fit", exhausted)
    with pytest.raises(TrainingError, match="out of memory with 8 programs per batch"):
        train(config(**learns("none")), DATA, tmp_path)


def test_missing_bases_are_one_line(config: Callable[..., TrainConfig], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot open model") as error:
        train(config(**learns("none"), base=str(tmp_path / "nowhere")), DATA, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"batch": 0},
        {"lr": 0.0},
        {"clip": -1.0},
        {"warmup_epochs": 2.0},
        {"hypergradient": "exact"},
        {"hypergradient": "fd", "precision": "bf16"},
    ],
)
def test_settings_out_of_range_are_refused(
    config: Callable[..., TrainConfig], change: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"train\.\w+"):
        config(**change)


def test_a_state_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*No such file"):
        store({"step": 1}, tmp_path / "absent" / "checkpoint.pt")
    store({"step": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(AttributeError):
        store({"step": lambda: 2}, tmp_path / "checkpoint.pt")
    assert load(tmp_path / "checkpoint.pt") == {"step": 1}  # the previous one is left
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
