"""A stage in several processes: together they leave what one leaves."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from funprm.cli import main
from funprm.commands.merge import merge
from funprm.config import parse_config
from funprm.errors import ConfigError, InputError, StoreError
from funprm.pipeline.run import Run
from funprm.pipeline.stages import run_all, run_stage
from funprm.shards import Shard
from tests.pipeline.conftest import Quiet
from tests.pipeline.world import World, fast

__all__ = ["fast"]

GROWN = ("generations", "rollouts", "verdicts")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "world")
    made.settings["policy"]["name"] = "tests.pipeline.world:WorldPolicy"
    made.settings["executor"]["name"] = "tests.pipeline.world:WorldExecutor"
    for number in range(20):
        split = ["train", "test"][number % 2]
        made.problems.append({**made.problems[0], "id": f"q{number}", "split": split})
    made.write()
    return made


def stage(world: World, folder: Path, name: str, shard: str = "") -> None:
    config = parse_config({**world.settings, "output": str(folder)})
    run_stage(config, Quiet(), name, Shard.parse(shard) if shard else None)


def finish(world: World, folder: Path) -> tuple[Any, str]:
    """Run what is missing; the summary without times, and the table."""
    run_all(parse_config({**world.settings, "output": str(folder)}), Quiet())
    summary = json.loads((folder / "summary.json").read_text())
    for cost in summary["costs"]:
        del cost["seconds"]
    return summary, (folder / "table.txt").read_text()


def lines(folder: Path, name: str) -> list[bytes]:
    """All lines of a file and its shards', sorted: their order says nothing."""
    files = [folder / f"{name}.jsonl", *folder.glob(f"{name}.*-of-*.jsonl")]
    return sorted(x for f in files if f.exists() for x in f.read_bytes().splitlines(keepends=True))


def same_records(one: Path, other: Path) -> bool:
    derived = ("problems", "steps", "rewards", "selections")
    return all(lines(one, name) == lines(other, name) for name in GROWN) and all(
        (one / f"{name}.jsonl").read_bytes() == (other / f"{name}.jsonl").read_bytes()
        for name in derived
    )


def config_file(world: World, folder: Path) -> Path:
    plain = [f"output = {json.dumps(str(folder))}"]
    for name, table in world.settings.items():
        plain += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
    path = world.place / "run.toml"
    path.write_text("\n".join(plain) + "\n")
    return path


def started(config: Path, name: str, shard: str, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "funprm", name, str(config), "--shard", shard, *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])


def all_well(processes: Sequence["subprocess.Popen[bytes]"]) -> bool:
    ends = [(process.communicate(timeout=100)[1], process.returncode) for process in processes]
    return all(code == 0 for _, code in ends) or pytest.fail(str(ends))


@pytest.mark.usefixtures("fast")
def test_four_processes_one_killed_and_submitted_again(world: World, tmp_path: Path) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    expected = finish(world, whole)
    config = config_file(world, parted)
    stage(world, parted, "load")
    shards = [f"{number}/4" for number in range(1, 5)]
    slow = started(config, "generate", "3/4", "--set", "policy.pause=1.0")
    others = [started(config, "generate", shard) for shard in shards if shard != "3/4"]
    own = parted / "generations.3-of-4.jsonl"
    deadline = time.monotonic() + 60
    while slow.poll() is None and not (own.exists() and own.read_bytes().count(b"\n") > 1):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(StoreError, match="shard 3/4 of 'generate' is at work"):
        stage(world, parted, "generate", "3/4")
    slow.kill()
    slow.communicate(timeout=60)
    assert slow.returncode == -signal.SIGKILL
    with own.open("ab") as torn:
        torn.write(b'{"key": "a line that the kill')
    kept = own.read_bytes().splitlines()[:-1]
    assert all_well(others)
    with pytest.raises(StoreError, match=r"of 52 results are not stored: \d+ of shard 3/4\)"):
        stage(world, parted, "segment")
    assert all_well([started(config, "generate", "3/4")])
    assert own.read_bytes().splitlines()[: len(kept)] == kept
    stage(world, parted, "segment")
    for name in ("rollout", "execute"):
        for shard in shards:
            stage(world, parted, name, shard)
    assert finish(world, parted) == expected
    assert same_records(whole, parted)
    assert len(list(parted.glob("*-of-4.jsonl"))) == 12
    merge([parted])
    assert not list(parted.glob("*-of-4.jsonl"))
    assert finish(world, parted) == expected
    assert same_records(whole, parted)


@pytest.mark.usefixtures("fast")
def test_folders_that_are_apart(world: World, tmp_path: Path) -> None:
    whole, places = tmp_path / "whole", [tmp_path / str(number) for number in range(3)]
    expected = finish(world, whole)
    for number, place in enumerate(places):
        stage(world, place, "load")
        stage(world, place, "generate", f"{number + 1}/3")
    merge(places, tmp_path / "merged")
    stage(world, tmp_path / "merged", "load")
    stage(world, tmp_path / "merged", "segment")
    for number, place in enumerate(places):
        shutil.rmtree(place)
        shutil.copytree(tmp_path / "merged", place)
        stage(world, place, "rollout", f"{number + 1}/3")
    found = merge(places)
    assert found.records == {"generations": 52, "rollouts": len(lines(whole, "rollouts"))}
    assert finish(world, places[0]) == expected
    assert same_records(whole, places[0])


@pytest.mark.usefixtures("fast")
def test_another_number_of_shards_repeats_nothing(world: World, tmp_path: Path) -> None:
    expected = finish(world, tmp_path / "whole")
    folder = tmp_path / "parted"
    stage(world, folder, "load")
    stage(world, folder, "generate", "1/2")
    half = len(lines(folder, "generations"))
    assert half == 26
    for number in range(1, 6):
        stage(world, folder, "generate", f"{number}/5")
    assert len(lines(folder, "generations")) == 52
    assert finish(world, folder) == expected


@pytest.mark.usefixtures("fast")
def test_who_may_work_beside_whom(world: World, tmp_path: Path) -> None:
    stage(world, tmp_path, "load")
    config = parse_config({**world.settings, "output": str(tmp_path)})
    with Run(config, Quiet(), part=("generate", Shard.parse("1/4"))):
        with Run(config, Quiet(), part=("generate", Shard.parse("2/4"))):
            pass
        with pytest.raises(StoreError, match="shard 1/4 of 'generate' is at work"):
            stage(world, tmp_path, "generate", "1/4")
        with pytest.raises(StoreError, match="all need one count"):
            stage(world, tmp_path, "generate", "1/2")
        with pytest.raises(StoreError, match="in use by another process"):
            stage(world, tmp_path, "generate")
        with pytest.raises(StoreError, match="in use by another process"):
            merge([tmp_path])
    stage(world, tmp_path, "generate")
    assert not list(tmp_path.glob("*-of-*")) + list(tmp_path.glob(".*-of-*"))


@pytest.mark.usefixtures("fast")
def test_programs_that_were_not_judged_are_tried_again_and_then_noted(
    world: World, tmp_path: Path
) -> None:
    world.texts["broken"] = "0123"
    world.write()
    for name in ("load", "generate", "segment", "rollout"):
        stage(world, tmp_path, name)
    for shard in ("1/2", "2/2"):
        stage(world, tmp_path, "execute", shard)
    with pytest.raises(StoreError, match=r"results are not stored: \d+ of shard 1/2, \d+ of shard"):
        stage(world, tmp_path, "reward")
    world.texts["broken"] = ""
    world.write()
    for shard in ("1/2", "2/2"):
        stage(world, tmp_path, "execute", shard)
    stage(world, tmp_path, "reward")


@pytest.mark.usefixtures("fast")
def test_folders_of_other_settings_are_not_merged(world: World, tmp_path: Path) -> None:
    stage(world, tmp_path / "a", "load")
    world.settings["seed"] = 1
    stage(world, tmp_path / "b", "load")
    with pytest.raises(StoreError, match="other settings .seed was 1, now 0"):
        merge([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(InputError, match="no run folder"):
        merge([tmp_path / "a", tmp_path / "absent"])


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "a/b", "1/0", "-1/4", ""])
def test_texts_that_name_no_shard(text: str) -> None:
    with pytest.raises(ConfigError, match="expected number/count"):
        Shard.parse(text)


@pytest.mark.usefixtures("fast")
def test_shards_of_what_has_none(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'segment' has no shards: expected generate, rollout"):
        stage(world, tmp_path, "segment", "1/2")


def test_the_command_line(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(config_file(world, tmp_path / "run"))
    assert main(["load", config]) == 0
    for shard in ("1/2", "2/2"):
        assert main(["generate", config, "--shard", shard]) == 0
        assert f"shard {shard}: 26 programs" in capsys.readouterr().err
    assert main(["merge", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run'}: 52 generations\n"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".lock",
        "generations.jsonl",
        "manifest.json",
        "problems.jsonl",
    ]
