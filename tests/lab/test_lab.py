import gzip
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from funprm import cli
from funprm.errors import ConfigError, InputError, StoreError, TrainingError
from funprm.lab import run
from funprm.lab.config import LabConfig, SizeConfig, load_lab, shipped
from funprm.lab.methods import WITHOUT_REWARDS, pooled
from funprm.lab.parallel import each_seed
from funprm.lab.run import run_lab, stored_cells
from funprm.lab.world import LabData, _Builder, open_world, world_key
from tests.lab import work
from tests.lab.conftest import make_world
from tests.pipeline.conftest import Quiet
from tests.prm.world import program


def test_pooling_counts_programs_with_the_same_beginning() -> None:
    programs = [
        program("p", "ab", [3, 1], [4, 1]),
        program("p", "ax", [3, 0], [4, 1]),
        program("p", "b", [1], [1]),
    ]
    assert [(p.k, p.n) for p in pooled(programs)] == [
        ((4, 1), (6, 1)),
        ((4, 0), (6, 1)),
        ((1,), (1,)),
    ]


def with_world(config: LabConfig, seed: int = 0) -> LabConfig:
    folder = Path(config.output) / "worlds"
    folder.mkdir(parents=True)
    (folder / f"world-{seed}.json.gz").write_bytes(
        gzip.compress(msgspec.json.encode(replace(make_world(seed), key=world_key(config, seed))))
    )
    return config


def test_a_lab_measures_reports_and_repeats_nothing(
    lab: Callable[..., LabConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_world(lab())
    text = run_lab(config, Quiet())
    folder = Path(config.output)
    cells = {cell.method: cell for cell in stored_cells(config)}
    assert set(cells) == set(config.methods)
    assert all(cells[m].errors for m in config.methods if m not in WITHOUT_REWARDS)
    assert set(cells["none"].choices) == {"1", "2", "4"}
    assert all(0 <= x <= 1 for x in cells["posterior"].choices["2"])
    # Half of the verdicts are lost: the posterior knows it from the programs' own outcomes.
    assert sum(cells["none"].errors) > sum(cells["posterior"].errors)
    page = (folder / "lab.html").read_text()
    assert page.count("<svg") == 2
    assert set(re.findall(r"https?://[\w.]+", page)) <= {"http://www.w3.org"}
    assert (folder / "lab.png").stat().st_size > 10_000
    assert json.loads((folder / "lab.json").read_text())["seeds"] == 1
    monkeypatch.setattr(run, "measure", lambda experiment, method: pytest.fail("measured again"))
    assert run_lab(config, Quiet()) == text


def test_a_torn_cell_is_measured_again(lab: Callable[..., LabConfig]) -> None:
    config = with_world(lab(methods=("none", "joint")))
    run_lab(config, Quiet())
    path = Path(config.output) / "cells" / "seed-0.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    run_lab(config, Quiet())
    first, second = (
        [{**json.loads(line), "seconds": 0, "crc": ""} for line in text.splitlines()]
        for text in (data, path.read_bytes())
    )
    assert first == second


def test_more_methods_join_and_other_settings_are_refused(lab: Callable[..., LabConfig]) -> None:
    config = with_world(lab(methods=("none",)))
    run_lab(config, Quiet())
    run_lab(replace(config, methods=("none", "joint")), Quiet())
    assert len(stored_cells(replace(config, methods=("none", "joint")))) == 2
    with pytest.raises(StoreError, match=r"train\.lr"):
        run_lab(replace(config, train=replace(config.train, lr=0.5)), Quiet())


def test_cells_of_other_settings_do_not_count_where_the_manifest_is_gone(
    lab: Callable[..., LabConfig], tmp_path: Path
) -> None:
    config = lab(methods=("orm",))
    base = shutil.copytree(config.train.base, tmp_path / "base")
    config = with_world(replace(config, train=replace(config.train, base=str(base))))
    run_lab(config, Quiet())
    assert len(stored_cells(config)) == 1
    assert not stored_cells(replace(config, train=replace(config.train, lr=0.3)))
    assert not stored_cells(replace(config, sizes=SizeConfig(truth=64)))
    damaged = bytearray((base / "model.safetensors").read_bytes())
    damaged[-1] ^= 1
    (base / "model.safetensors").write_bytes(damaged)
    assert not stored_cells(config)


def test_a_world_is_sampled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = SizeConfig(
        train=3,
        meta=1,
        validation=1,
        test=2,
        programs=2,
        candidates=2,
        rollouts=4,
        weak_rollouts=2,
        truth=5,
        truth_train=3,
        truth_test=2,
    )
    config = LabConfig(output=str(tmp_path), sizes=sizes)
    world = open_world(config, 0, tmp_path)
    assert {split: len(p) for split, p in world.programs.items()} == {
        "train": 6,
        "meta": 2,
        "validation": 2,
        "test": 4,
    }
    prefixes = {p for program in world.programs["train"] for p in program.prefixes[:-1]}
    assert {name: set(found) for name, found in world.rollouts.items()} == dict.fromkeys(
        ("policy", "hot", "early"), prefixes
    )
    assert {len(o) for o in world.rollouts["policy"].values()} == {4}
    assert len(world.truth) == min(3, len(prefixes))
    assert all(n == 5 for _, n in world.truth.values())
    assert open_world(config, 0, tmp_path) == world
    monkeypatch.setattr(_Builder, "build", lambda self: replace(world, seed=9))
    assert open_world(config, 0, tmp_path) == world
    assert open_world(replace(config, hot=2.0), 0, tmp_path).seed == 9


def test_errors_of_processes_arrive() -> None:
    with pytest.raises(TrainingError, match="seed 1 cannot go on"):
        each_seed(work.fail, None, [0, 1], 2, lambda: None)
    with pytest.raises(TrainingError, match="exit code 9"):
        each_seed(work.die, None, [0, 1], 2, lambda: None)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("seeds = 0\noutput = 'x'", ConfigError, "expected 1 or more seeds"),
        ("sedes = 1\noutput = 'x'", ConfigError, "did you mean 'seeds'"),
        ("output = 'x'\n[sizes]\ntrian = 1", ConfigError, "unknown key 'sizes.trian'"),
        ("output = 'x'\n[sizes]\ntrain = 0", ConfigError, "sizes.train = 0"),
        ("output = 'x'\nhot = 0.5", ConfigError, "above the policy's 1"),
        ("output = 'x'\nseeds = 'two'", ConfigError, "seeds"),
        ("output = ", ConfigError, "not TOML"),
    ],
)
def test_wrong_settings_are_refused(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        load_lab(path)


def test_the_command_refuses_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["lab", str(tmp_path / "none.toml")]) == 2
    assert cli.main(["lab", "--quick", "--set", "methods=['tabel']"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "no configuration file" in errors[0]
    assert "did you mean 'table'" in errors[1]
    with pytest.raises(InputError):
        load_lab(tmp_path / "none.toml")


def test_the_shipped_settings_are_valid() -> None:
    for name in ("lab", "lab-quick"):
        run.complete(load_lab(shipped(name)))
    assert load_lab(shipped("lab")).seeds >= 10
    assert load_lab(shipped("lab")).sizes.truth >= 128


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_quick_lab_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "funprm", "lab", "--quick", "--output", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not any(tmp_path.glob("cells/*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "squared error of the fitted rewards" in done.stdout
    decoded = msgspec.json.decode(
        gzip.decompress((tmp_path / "worlds" / "world-0.json.gz").read_bytes()), type=LabData
    )
    assert decoded.truth


def test_a_setting_below_a_value_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lab", "--quick", "--set", "seeds.x=1"]) == 2
    assert "'seeds' is a value, not a table" in capsys.readouterr().err
