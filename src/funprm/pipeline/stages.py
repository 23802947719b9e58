"""All stages in their order, one by one or from where a run stands."""

from importlib import resources
from pathlib import Path

from funprm.config import RunConfig
from funprm.errors import ConfigError
from funprm.interfaces import Progress
from funprm.pipeline.judging import execute, reward
from funprm.pipeline.loading import load
from funprm.pipeline.reporting import RunResult, read_result, report
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import generate, rollout, segment
from funprm.pipeline.scoring import score
from funprm.pipeline.selecting import check_selection, select
from funprm.pipeline.stage import Grown, Stage
from funprm.pipeline.training import train
from funprm.shards import Shard

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        load,
        generate,
        segment,
        rollout,
        execute,
        reward,
        train,
        score,
        select,
        report,
    )
}
"""By the verb of the command line."""


def _check(config: RunConfig) -> None:
    """Refuse settings that no stage can follow.

    Raises:
        ConfigError: a selector is unknown, or there is a search.
    """
    check_selection(config)
    if config.search is not None:
        raise ConfigError(
            "table [search]: runs sample their programs; `funprm solve` and `funprm.solve` search"
        )


def run_all(config: RunConfig, progress: Progress) -> RunResult:
    """Run all stages that are not complete; errors of any stage are `FunprmError`s."""
    _check(config)
    config.needed_policy()
    with Run(config, progress) as run:
        for work in STAGES.values():
            work(run)
        return read_result(run)


def run_stage(config: RunConfig, progress: Progress, name: str, shard: Shard | None = None) -> None:
    """Run one stage, or one process's part of it.

    Raises:
        ConfigError: the stage has no parts.
        StoreError: the stage before it is not complete, or another process does the same.
    """
    _check(config)
    if shard and not isinstance(STAGES[name].take, Grown):
        parted = [stage.name for stage in STAGES.values() if isinstance(stage.take, Grown)]
        raise ConfigError(f"stage {name!r} has no shards: expected {', '.join(parted)}")
    with Run(config, progress, part=(name, shard) if shard else None) as run:
        STAGES[name](run)


def train_together(config: RunConfig, progress: Progress, *, first: bool) -> None:
    """Run the stage `train` as one of the processes that a launcher started.

    Args:
        config: the same for all.
        progress: where this process shows how far all are.
        first: whether this is the one that holds the run folder and writes.

    Raises:
        ConfigError: the processes do not find each other, or the settings do not suit several.
        StoreError: the stage `reward` is not complete.
    """
    from funprm.prm.distributed import joined

    _check(config)
    gpu = any(model.device != "cpu" for model in config.models.values())
    with joined(gpu=gpu), Run(config, progress, owned=first) as run:
        train(run)


def demo_config(name: str) -> Path:
    """The TOML file of a shipped run: `demo` or `demo-quick`."""
    return Path(str(resources.files("funprm").joinpath("demo", f"{name}.toml")))
