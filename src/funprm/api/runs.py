"""Verbs on runs, laboratories and files; those of the command line that need a file or two."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from funprm.api.glue import Settings, Shown, path_of, shown_by
from funprm.config import load_config
from funprm.pipeline import stages
from funprm.pipeline.reporting import RunResult
from funprm.shards import Shard

if TYPE_CHECKING:
    from funprm.commands.merge import Merged
    from funprm.commands.plan import Plan


def run(
    config: str | Path, settings: Settings | None = None, *, progress: Shown = False
) -> RunResult:
    """All stages of a configuration, from where it stands; the result prints its table.

    Args:
        config: a run's TOML file.
        settings: in place of the file's, such as `{"generate.n": 4, "output": "runs/other"}`.
        progress: see the module.

    Raises:
        FunprmError: a setting is wrong, or a stage cannot go on; what is done is kept.
    """
    with shown_by(progress) as shown:
        return stages.run_all(load_config(Path(config), settings), shown)


def run_stage(
    config: str | Path,
    stage: str,
    settings: Settings | None = None,
    *,
    shard: str = "",
    progress: Shown = False,
) -> None:
    """One stage of a configuration, after those before it: `load`, `generate`, `segment`, ...

    Args:
        config: a run's TOML file.
        stage: its name.
        settings: in place of the file's.
        shard: only this part of its problems, such as `2/4`; of `generate`, `rollout`, `execute`
            and `score`. Empty: all.
        progress: see the module.

    Raises:
        ConfigError: a setting is wrong, or there is no such stage.
        StoreError: the stage before it is not complete.
    """
    part = Shard.parse(shard) if shard else None
    with shown_by(progress) as shown:
        stages.run_stage(load_config(Path(config), settings), shown, stage, part)


def plan(
    config: str | Path,
    settings: Settings | None = None,
    *,
    pilot: bool = False,
    problems: int = 20,
    progress: Shown = False,
) -> "Plan":
    """What a run will take, as a pilot of a few problems shows; the result prints its table.

    Args:
        config: a run's TOML file.
        settings: in place of the file's.
        pilot: run the pilot, or what is missing of it; its records are part of the run.
        problems: of the pilot, of each split.
        progress: see the module.
    """
    from funprm.commands import plan as work

    with shown_by(progress) as shown:
        wanted = load_config(Path(config), settings)
        return work.plan(wanted, shown, pilot=pilot, per_split=problems)


def merge(folders: Sequence[str | Path], output: str | Path | None = None) -> "Merged":
    """Bring the records of run folders, and of their shards, into one.

    Args:
        folders: of one configuration.
        output: a folder, new or one of these; None: the first of them.
    """
    from funprm.commands import merge as work

    return work.merge([Path(folder) for folder in folders], path_of(output))


def demo(
    *,
    quick: bool = False,
    seed: int = 0,
    output: str | Path | None = None,
    progress: Shown = False,
) -> RunResult:
    """The whole method on the mini benchmark with the tiny model.

    Args:
        quick: a smaller size, within 90 seconds.
        seed: of problems, sampling and training.
        output: the run folder; None: `runs/demo` or `runs/demo-quick`.
        progress: see the module.
    """
    name = "demo-quick" if quick else "demo"
    folder = str(output or f"runs/{name}" + (f"-{seed}" if seed else ""))
    settings = {"output": folder, "seed": seed, "dataset.seed": seed}
    return run(stages.demo_config(name), settings, progress=progress)


def run_lab(
    config: str | Path | None = None,
    settings: Settings | None = None,
    *,
    quick: bool = False,
    progress: Shown = False,
) -> str:
    """Corrupt rewards in known ways, and compare what mends them: the text of the report.

    Args:
        config: TOML file; None: the shipped one.
        settings: in place of the file's, such as `{"seeds": 2, "output": "runs/lab"}`.
        quick: without a file, a tiny size.
        progress: see the module.
    """
    from funprm.lab import config as lab
    from funprm.lab.run import run_lab as work

    path = path_of(config) or lab.shipped("lab-quick" if quick else "lab")
    with shown_by(progress) as shown:
        return work(lab.load_lab(path, settings), shown)
