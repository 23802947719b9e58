"""Two processes train as one does, up to the order of sums: in double precision."""

import socket
import time
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from safetensors.torch import load_file

from funprm.config import TrainConfig
from funprm.errors import ConfigError, TrainingError
from funprm.prm.distributed import ProcessGroup, current
from funprm.prm.training.loop import train
from funprm.records import Json
from tests.prm.precision import double_precision
from tests.prm.world import learns, rows_of, small_data

DATA = small_data()
STOP = 3
"""Step of the correct phase after which a training is interrupted."""


SUMS = 1e-9
"""Of parameters and rewards in double precision: other orders of the same sums, 1e-16 each, times
what the finite difference magnifies them by (1e6)."""
SINGLE = 1e-6
"""Of losses and learned weights, which are handed on in single precision."""

LONGEST = 240.0
"""Seconds after which the processes are said to hang; starting them takes most of the time."""

pytestmark = pytest.mark.timeout(2 * LONGEST)


class InterruptedRunError(Exception):
    pass


def configs(base: Path) -> dict[str, TrainConfig]:
    common: dict[str, Any] = {
        "base": str(base),
        "device": "cpu",
        "batch": 4,
        "accumulate": 2,
        "epochs": 2.0,
        "warmup_epochs": 1.0,
        "evaluate_every": 0.5,
        "max_tokens": 64,
    }
    frozen = {**common, "tuning": "frozen"}
    return {
        "full": TrainConfig(
            **learns("table+reweight"), **{**common, "epochs": 0.8, "warmup_epochs": 0.4}
        ),
        "table": TrainConfig(**learns("table+reweight"), **frozen),
        "joint": TrainConfig(**learns("joint"), pairwise=0.5, **frozen),
        "posterior": TrainConfig(**learns("posterior"), **frozen),
        # Batches of one program: the second rank's share is empty.
        "empty": TrainConfig(
            **learns("table"), **{**frozen, "batch": 1, "accumulate": 1, "epochs": 1.5}
        ),
    }


def work(rank: int, port: int, base: Path, folder: Path) -> None:
    """One of two processes: trains all, and one of them again, interrupted."""
    torch.set_num_threads(1)
    with double_precision():
        trainings(rank, port, base, folder)


def trainings(rank: int, port: int, base: Path, folder: Path) -> None:
    address, timeout = f"tcp://127.0.0.1:{port}", timedelta(seconds=60)
    dist.init_process_group("gloo", address, timeout, world_size=2, rank=rank)
    exchange(rank)
    for name, config in configs(base).items():
        torch.save(trained(config, folder / name), folder / f"{name}-{rank}.pt")
    settings = configs(base)["table"]
    for name in ("again", "alone"):
        with suppress(InterruptedRunError):
            train(settings, DATA, folder / name, report=stop)
    train(settings, DATA, folder / "again")
    exact = replace(settings, hypergradient="exact", optimizer="sgd")
    with pytest.raises(ConfigError, match="'exact' with 2 processes"):
        train(exact, DATA, folder / "refused")
    with pytest.raises(ConfigError, match="'cuda:0' with 2 processes"):
        train(replace(settings, device="cuda:0"), DATA, folder / "refused")
    fail(rank)


def trained(config: TrainConfig, folder: Path) -> tuple[Json, int, list[float]]:
    """Validation, tokens, and the losses of all steps."""
    losses: list[float] = []
    result = train(config, DATA, folder, report=lambda e: losses.append(e["loss"]))
    assert result.validation is not None
    return asdict(result.validation), result.tokens, losses


def exchange(rank: int) -> None:
    both = current()
    assert both == ProcessGroup(rank, 2)
    rows = torch.full((2 * rank, 3), float(rank), dtype=torch.float64)
    assert both.gather(rows).tolist() == [[1.0] * 3] * 2
    assert both.join(list(both.share("abcde"))) == list("abcde")
    matrix, vector = torch.full((2, 2), 1.0 + rank).T, torch.arange(3.0)
    both.sum([matrix, vector])
    assert (matrix.tolist(), vector.tolist()) == ([[3.0, 3.0]] * 2, [0.0, 2.0, 4.0])


def fail(rank: int) -> None:
    """The second process ends; the first one says so in one line."""
    if rank == 0:
        with pytest.raises(TrainingError, match="another process of this training ended"):
            current().barrier()
    dist.destroy_process_group()


def stop(entry: dict[str, Json]) -> None:
    if entry["phase"] == "correct" and entry["step"] == STOP and entry["advance"]:
        raise InterruptedRunError


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of trainings by two processes, and of the same by this one."""
    together, alone = (tmp_path_factory.mktemp(name) for name in ("together", "alone"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pair = torch.multiprocessing.spawn(  # type: ignore[attr-defined, no-untyped-call]
        work, (port, base, together), nprocs=2, join=False, daemon=True
    )
    with double_precision():
        for name, config in configs(base).items():
            torch.save(trained(config, alone / name), alone / f"{name}.pt")
    end = time.monotonic() + LONGEST
    while not pair.join(timeout=1):
        assert time.monotonic() < end, "the processes hang"
    return together, alone


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = (folder / "model").glob("*.safetensors")
    return load_file(path)


def assert_alike(one: Path, two: Path) -> None:
    """Equal files; rewards, learned weights and parameters equal up to the order of sums."""
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in two.iterdir())
    torch.testing.assert_close(weights(one), weights(two), rtol=0, atol=SUMS)
    if (two / "corrected.jsonl").exists():
        left, right = (rows_of(folder / "corrected.jsonl") for folder in (one, two))
        assert [row["prefix"] for row in left] == [row["prefix"] for row in right]
        for name, tolerance in (("reward", SUMS), ("weight", SINGLE)):
            expected = [row[name] for row in right]
            assert [row[name] for row in left] == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("name", configs(Path()))
def test_two_processes_train_as_one_does(runs: tuple[Path, Path], name: str) -> None:
    together, alone = (folder / name for folder in runs)
    assert_alike(together, alone)
    expected, tokens, losses = torch.load(alone.with_suffix(".pt"))
    for rank in range(2):
        found, counted, seen = torch.load(together.with_name(f"{name}-{rank}.pt"))
        assert seen == pytest.approx(losses, abs=SINGLE)
        assert found["brier"] == pytest.approx(expected["brier"], abs=SUMS)
        assert (found["criterion"], counted) == (expected["criterion"], tokens)
    if name == "table":
        rows = rows_of(alone / "corrected.jsonl")
        assert max(abs(row["weight"] - 1) for row in rows) > 0.01


def test_an_interrupted_training_goes_on(runs: tuple[Path, Path], base: Path) -> None:
    together, alone = runs
    assert_alike(together / "again", alone / "table")
    assert (together / "alone" / "state" / "checkpoint.pt").exists()
    with double_precision():
        train(configs(base)["table"], DATA, together / "alone")
    assert_alike(together / "alone", alone / "table")
