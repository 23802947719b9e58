"""One run: its settings, its folder, its components, and what its stages have handed it."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from funprm import __version__, registry
from funprm.config import ComponentConfig, RunConfig
from funprm.errors import MissingPackageError
from funprm.interfaces import Dataset, Executor, Policy, Progress
from funprm.pipeline.revising import revising
from funprm.pipeline.stage import Outcome
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
from funprm.shards import Shard
from funprm.store import RecordFile, RunFolder

T = TypeVar("T")

_PARTS: dict[str, registry.Group] = {
    "dataset": "datasets",
    "policy": "policies",
    "completer": "policies",
    "executor": "executors",
}


def settings_of(config: RunConfig) -> dict[str, Any]:
    """What determines a run's results, for its manifest.

    Selection, titles, models, scorers and searches are left out: their stages follow their
    settings, and trainings, scores and answers by earlier ones are kept.
    """
    tree = asdict(config)
    for part in ("output", "title", "select", "models", "scorers", "search"):
        del tree[part]
    return {"funprm": __version__, **tree}


def free_settings(config: RunConfig, *, with_dataset: bool = True) -> set[str]:
    """Dotted names of settings that do not determine results: they may change between calls.

    Each part says it of its own options (`interfaces.transport_of`).
    """
    free: set[str] = set()
    for name, group in _PARTS.items():
        part: ComponentConfig | None = getattr(config, name)
        if part is not None and (with_dataset or name != "dataset"):
            free |= {f"{name}.options.{key}" for key in registry.transport(group, part.name)}
    return free


class Run:
    """A run folder with everything that its stages need.

    Its records are those that the present plan asks for: each stage hands over its own when it
    has been done, or was found complete.

    Args:
        config: all settings; component names and options are checked here.
        progress: where stages show how far they are.
        dataset: problems that are in memory; `config.dataset` then only tells them from others.
        policy: one that is in memory, in place of `config.policy`.
        owned: False: another process holds the folder, and writes; this one works beside it.
        part: a stage, and which part of its problems this process works on; None: all, of any.

    Attributes:
        digests: of what the run was handed and what that rests on, by stage.
        outcomes: what there is to say of it, by stage.
        unused: how many stored records the plan does not ask for, by file.
        problems: by `problem_id`, in the data set's order.
        questions: digest of what policies may know of a problem, by `problem_id`.
        generations: by key, in the order of problems and samples.
        steps: by generation key.
        rollouts, verdicts, scores: by key.
        rewards, selections: in the order of generations, and of selectors.
        wanted_models, trained: keys of the trainings that are asked for, and what they wrote at
            their end, by model.
    """

    config: RunConfig
    folder: RunFolder
    problems: dict[str, Problem]
    questions: dict[str, str]
    generations: dict[str, Generation]
    steps: dict[str, Steps]
    rollouts: dict[str, Rollout]
    verdicts: dict[str, Verdict]
    rewards: list[Reward]
    trained: dict[str, Mapping[str, Json]]
    scores: dict[str, Score]
    selections: list[Selection]

    def __init__(
        self,
        config: RunConfig,
        progress: Progress,
        dataset: Dataset | None = None,
        policy: Policy | None = None,
        *,
        owned: bool = True,
        part: tuple[str, Shard] | None = None,
    ) -> None:
        folder = Path(config.output)
        if not (folder / "manifest.json").exists():  # else checked when it was made
            _check_components(config, with_dataset=dataset is None)
        self.config = config
        self.part = part
        self.progress = progress
        self.digests: dict[str, str] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.unused: dict[str, int] = {}
        self.wanted_models: dict[str, str] | None = None
        if dataset is not None:
            self.dataset = dataset
        if policy is not None:
            self.policy = self._revising(policy)
        free = free_settings(config, with_dataset=dataset is None)
        self.folder = RunFolder(folder, settings_of(config), owned=owned, free=free, part=part)

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
        return self._revising(policy)

    def _revising(self, policy: Policy) -> Policy:
        return revising(policy, lambda: self.executor, lambda: self.file("drafts", Generation))

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
    def places(self) -> Mapping[str, int]:
        """Numbers of problems, from 0, in an order that has nothing to do with what they are."""
        shuffled = sorted(self.problems, key=lambda name: key_of("place", name))
        return {problem_id: place for place, problem_id in enumerate(shuffled)}

    def takes(self, stage: str, problem_id: str) -> bool:
        """Whether this process does a stage's work for a problem."""
        if self.part is None or self.part[0] != stage:
            return True
        return self.part[1].takes(self.places[problem_id])

    def of_split(self, *splits: Split) -> list[Generation]:
        """Generations of the problems of some splits."""
        wanted = {p.problem_id for p in self.problems.values() if p.split in splits}
        return [g for g in self.generations.values() if g.problem_id in wanted]

    def seconds(self, stage: str) -> float:
        """How long a stage has worked, as the manifest notes it."""
        noted = self.folder.complete(stage) or {}
        return float(noted.get("seconds", 0.0))

    def file(self, name: str, kind: type[T]) -> RecordFile[T]:
        """A record file of the run folder."""
        return self.folder.records(name, kind)

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
    for scorer in config.scorers.values():
        registry.build("scorers", scorer.name, scorer.options)  # cheap, and checks all values
    for model in config.models.values():
        if model.corrects:
            part = model.correction
            try:
                registry.check_options("corrections", part.name, part.options)
            except MissingPackageError as error:
                if error.name != "torch":  # else training says it; other stages do without
                    raise
