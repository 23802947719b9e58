"""One run: its settings, its folder, and its components, made when first needed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from funprm import __version__, registry
from funprm.config import ComponentConfig, RunConfig
from funprm.errors import StoreError
from funprm.interfaces import Dataset, Executor, Policy, Progress
from funprm.records import (
    Generation,
    Json,
    Problem,
    Reward,
    Rollout,
    Score,
    Selection,
    Split,
    Steps,
    Verdict,
    key_of,
)
from funprm.store import RecordFile, RunFolder, by_key

T = TypeVar("T")

TRANSPORT = frozenset(
    """workers require_isolation disable device base_url api_key_env concurrency timeout retries
    price_input price_output budget_tokens budget_cost""".split()
)
"""Component options that do not determine results: they may change between runs."""


def settings_of(config: RunConfig) -> dict[str, Any]:
    """What determines a run's results, for its manifest.

    Selection and titles are left out: those stages are cheap and follow their settings.
    """
    tree = asdict(config)
    for part in ("output", "title", "select"):
        del tree[part]
    for part in ("dataset", "policy", "completer", "executor"):
        if tree[part] is not None:
            options = tree[part]["options"]
            tree[part]["options"] = {k: v for k, v in options.items() if k not in TRANSPORT}
    for model in tree["models"].values():
        del model["tensorboard"]
    return {"funprm": __version__, **tree}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a stage reports when it is done: a line for people, facts for the manifest.

    Facts must be determined by the results (counts, not times).
    """

    note: str
    facts: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A finished stage in the manifest."""

    inputs: str
    """Digest of the stage before, and of settings of its own."""
    digest: str
    """Changes when the stage's results change."""
    seconds: float
    facts: Mapping[str, Json]


def stage(
    name: str, after: str = "", settings: Callable[["Run"], Json] = lambda run: None
) -> Callable[[Callable[["Run"], Outcome]], Callable[["Run"], None]]:
    """Make a function a stage: skipped when finished with the same inputs, timed, recorded.

    Args:
        name: of the stage, as in the manifest and on the command line.
        after: the stage whose results it needs.
        settings: what else determines its results and may change within a run folder.
    """

    def decorate(work: Callable[["Run"], Outcome]) -> Callable[["Run"], None]:
        @wraps(work)
        def wrapper(run: "Run") -> None:
            before = run.require(after).digest if after else ""
            inputs = key_of(name, before, settings(run))
            done = run.done(name)
            if done and done.inputs == inputs:
                return
            started = time.monotonic()
            outcome = work(run)
            seconds = round(time.monotonic() - started, 3)
            digest = key_of(inputs, outcome.facts)
            finished = Stage(inputs=inputs, digest=digest, seconds=seconds, facts=outcome.facts)
            run.folder.mark_complete(name, msgspec.to_builtins(finished))
            run.progress.finish(outcome.note)

        return wrapper

    return decorate


class Run:
    """A run folder with everything that its stages need.

    Args:
        config: all settings; component names and options are checked here.
        progress: where stages show how far they are.
        dataset: problems that are in memory; `config.dataset` then only tells them from others.
        owned: False: another process holds the folder, and writes; this one works beside it.
    """

    def __init__(
        self,
        config: RunConfig,
        progress: Progress,
        dataset: Dataset | None = None,
        *,
        owned: bool = True,
    ) -> None:
        folder = Path(config.output)
        if not (folder / "manifest.json").exists():  # else checked when it was made
            _check_components(config, with_dataset=dataset is None)
        self.config = config
        self.progress = progress
        if dataset is not None:
            self.dataset = dataset
        self.folder = RunFolder(folder, settings_of(config), owned=owned)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if "executor" in self.__dict__:
            self.executor.close()
        self.folder.close()

    @cached_property
    def dataset(self) -> Dataset:
        """Where problems come from."""
        dataset: Dataset = self._build("datasets", self.config.dataset)
        return dataset

    @cached_property
    def policy(self) -> Policy:
        """Writes the programs."""
        policy: Policy = self._build("policies", self.config.needed_policy())
        return policy

    @cached_property
    def completer(self) -> Policy:
        """Completes prefixes."""
        if self.config.completer is None:
            return self.policy
        completer: Policy = self._build("policies", self.config.completer)
        return completer

    @cached_property
    def executor(self) -> Executor:
        """Judges programs."""
        executor: Executor = self._build("executors", self.config.executor)
        return executor

    @cached_property
    def problems(self) -> dict[str, Problem]:
        """Stored problems by `problem_id`, in the data set's order."""
        return {problem.problem_id: problem for problem in self.file("problems", Problem)}

    @cached_property
    def generations(self) -> dict[str, Generation]:
        """Stored generations by key, in the order of problems and samples."""
        place = {problem_id: i for i, problem_id in enumerate(self.problems)}
        stored = by_key(self.file("generations", Generation)).values()
        ordered = sorted(stored, key=lambda g: (place[g.problem_id], g.index))
        return {generation.key: generation for generation in ordered}

    @cached_property
    def steps(self) -> dict[str, Steps]:
        """Stored steps by generation key."""
        return by_key(self.file("steps", Steps))

    @cached_property
    def rollouts(self) -> dict[str, Rollout]:
        """Stored rollouts by key."""
        return by_key(self.file("rollouts", Rollout))

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Stored verdicts by key."""
        return by_key(self.file("verdicts", Verdict))

    @cached_property
    def rewards(self) -> dict[str, Reward]:
        """Stored rewards by key."""
        return by_key(self.file("rewards", Reward))

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Stored scores by key."""
        return by_key(self.file("scores", Score))

    @cached_property
    def selections(self) -> dict[str, Selection]:
        """Stored selections by key."""
        return by_key(self.file("selections", Selection))

    def of_split(self, *splits: Split) -> list[Generation]:
        """Generations of the problems of some splits."""
        wanted = {p.problem_id for p in self.problems.values() if p.split in splits}
        return [g for g in self.generations.values() if g.problem_id in wanted]

    def file(self, name: str, kind: type[T]) -> RecordFile[T]:
        """A record file of the run folder."""
        return self.folder.records(name, kind)

    def done(self, stage: str) -> Stage | None:
        """What a finished stage left; None if it is not finished."""
        stored = self.folder.complete(stage)
        return None if stored is None else msgspec.convert(stored, Stage)

    def require(self, stage: str) -> Stage:
        """What a stage left that must be finished before another.

        Raises:
            StoreError: it is not finished.
        """
        stored = self.done(stage)
        if stored is None:
            raise StoreError(
                f"stage {stage!r} of {self.folder.path} is not complete: run `funprm {stage}` "
                "with the same configuration first, or `funprm run` for all stages"
            )
        return stored

    def forget(self, *names: str) -> None:
        """Drop cached records after their file has grown."""
        for name in names:
            self.__dict__.pop(name, None)

    def _build(self, group: registry.Group, part: ComponentConfig) -> Any:  # noqa: ANN401
        return registry.build(group, part.name, part.options)


def _check_components(config: RunConfig, *, with_dataset: bool) -> None:
    for group, part in (
        ("datasets", config.dataset if with_dataset else None),
        ("policies", config.policy),
        ("policies", config.completer),
        ("executors", config.executor),
    ):
        if part is not None:
            registry.check_options(group, part.name, part.options)  # type: ignore[arg-type]
