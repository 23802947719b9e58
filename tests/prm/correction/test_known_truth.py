"""Where the truth is known, the correction repairs a biased completer; wrong outcomes do not."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from funprm.config import ComponentConfig, TrainConfig
from funprm.prm.training.data import TrainingData
from funprm.prm.training.loop import train
from funprm.records import LabelledProgram
from tests.prm.world import draw_programs, rows_of, true_value


def shuffled(programs: list[LabelledProgram]) -> list[LabelledProgram]:
    """The same programs with each other's outcomes."""
    outcomes = np.random.default_rng(0).permutation([p.k[-1] for p in programs])
    return [replace(p, k=(*p.k[:-1], int(k))) for p, k in zip(programs, outcomes, strict=True)]


def test_bias_is_repaired(base: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    meta = draw_programs("m", 40, 4, rng)
    data = TrainingData(
        train=draw_programs("t", 40, 4, rng), meta=meta, validation=draw_programs("v", 40, 4, rng)
    )
    truth = {
        prefix: true_value("".join(step[4] for step in p.steps[: i + 1]), len(p.steps))
        for p in data.train
        for i, prefix in enumerate(p.prefixes[:-1])
    }
    config = TrainConfig(
        base=str(base),
        correction=ComponentConfig(name="table", options={"prior": 0.03}),
        lr=3e-3,
        epochs=4.0,
        warmup_epochs=2.0,
        device="cpu",
    )
    table = train(config, data, tmp_path / "table")
    control = train(config, replace(data, meta=shuffled(meta)), tmp_path / "control")
    errors = {}
    for name in ("table", "control"):
        rows = rows_of(tmp_path / name / "corrected.jsonl")
        true = np.array([truth[row["prefix"]] for row in rows])
        errors[name] = np.square([row["reward"] for row in rows] - true).mean()
        errors["none"] = np.square([row["k"] / row["n"] for row in rows] - true).mean()
    assert errors["table"] < 0.8 * errors["none"]
    assert errors["control"] > errors["table"]
    assert table.validation is not None
    assert control.validation is not None
    assert table.validation.brier < 0.5 * control.validation.brier
