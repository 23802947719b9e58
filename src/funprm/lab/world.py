"""One seed of the laboratory: programs, their outcomes, all completions, and measured truth.

Everything random comes from the seed, and is sampled and judged once: corruptions and methods
of all cells read the same completions.
"""

import gzip
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import islice
from pathlib import Path

import msgspec

from funprm import __version__, registry
from funprm.disk import write_atomically
from funprm.interfaces import Executor, Job, Policy, Request
from funprm.lab.config import LabConfig
from funprm.pipeline.sampling import prefix_key
from funprm.prompts import render_statement
from funprm.records import LabelledProgram, Problem, Split, key_of
from funprm.steps import find_steps, step_texts

POLICY = "policy"
"""The completer that is the policy itself: unbiased."""

MAX_STEPS = 12

Outcomes = str
"""Outcomes of completions in their order: `1` passed, `0` failed, `-` not judged."""


@dataclass(frozen=True, kw_only=True)
class LabData:
    """What one seed's cells share."""

    key: str = ""
    """What determines it, see `world_key`; empty: of an earlier version."""
    seed: int
    programs: Mapping[Split, list[LabelledProgram]]
    """Of every split; only the last step, the program's own verdict, is labelled."""
    rollouts: Mapping[str, Mapping[str, Outcomes]]
    """Of train prefixes, by completer and prefix key."""
    truth: Mapping[str, tuple[int, int]]
    """Passed and judged completions of some train prefixes, none of them in `rollouts`."""
    test_truth: Mapping[str, tuple[int, int]]
    """The same of some test prefixes."""
    completions: int
    verdicts: int
    """Distinct programs that were judged."""
    seconds: float


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One program to sample: a fresh one, or a completion."""

    problem: Problem
    prefix: str
    index: int


def open_world(config: LabConfig, seed: int, folder: Path) -> LabData:
    """The world of a seed: read from `folder`, or sampled, judged and stored there.

    Args:
        config: sizes and completers.
        seed: which world.
        folder: of all worlds.
    """
    path = folder / f"world-{seed}.json.gz"
    key = world_key(config, seed)
    if path.exists():
        world = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=LabData)
        if world.key == key:
            return world
    world = _Builder(config, seed).build()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, gzip.compress(msgspec.json.encode(world), 3))
    return world


def world_key(config: LabConfig, seed: int) -> str:
    """What determines a world: version, sizes, completers, seed."""
    return key_of("world", __version__, asdict(config.sizes), config.hot, seed)


class _Builder:
    """Samples and judges one world."""

    def __init__(self, config: LabConfig, seed: int) -> None:
        self._config, self._sizes, self._seed = config, config.sizes, seed
        self._executor: Executor = registry.build("executors", "local", {"workers": 1})
        self._verdicts: dict[tuple[str, str], bool | None] = {}
        self._completions = 0

    def build(self) -> LabData:
        """The whole world."""
        start = time.monotonic()
        try:
            problems = self._problems()
            policy = _policy()
            programs = self._programs(policy, problems)
            prefixes = {split: _prefixes(programs[split]) for split in ("train", "test")}
            rollouts, truth = self._rollouts(policy, problems, prefixes["train"])
            chosen = self._chosen(prefixes["test"], self._sizes.truth_test)
            test_truth = self._complete(policy, problems, chosen, range(self._sizes.truth))
        finally:
            self._executor.close()
        return LabData(
            key=world_key(self._config, self._seed),
            seed=self._seed,
            programs=programs,
            rollouts=rollouts,
            truth=truth,
            test_truth=_counts(test_truth),
            completions=self._completions,
            verdicts=len(self._verdicts),
            seconds=time.monotonic() - start,
        )

    def _problems(self) -> dict[str, Problem]:
        sizes = self._sizes
        options = {
            "train": sizes.train,
            "meta": sizes.meta,
            "validation": sizes.validation,
            "test": sizes.test,
            "seed": self._seed,
        }
        loaded = registry.build("datasets", "mini", options).load()
        return {problem.problem_id: problem for problem in loaded}

    def _programs(
        self, policy: Policy, problems: Mapping[str, Problem]
    ) -> dict[Split, list[LabelledProgram]]:
        wanted = [
            _Wanted(problem, "", index)
            for problem in problems.values()
            for index in range(
                self._sizes.candidates if problem.split == "test" else self._sizes.programs
            )
        ]
        codes = self._sample(policy, "program", wanted)
        passed = self._judge([(w.problem, code) for w, code in zip(wanted, codes, strict=True)])
        found: dict[Split, list[LabelledProgram]] = {}
        for w, code, verdict in zip(wanted, codes, passed, strict=True):
            program = _labelled(w, code or "", verdict)
            found.setdefault(w.problem.split, []).append(program)
        return found

    def _rollouts(
        self, policy: Policy, problems: Mapping[str, Problem], prefixes: Mapping[str, "_Prefix"]
    ) -> tuple[dict[str, dict[str, Outcomes]], dict[str, tuple[int, int]]]:
        sizes = self._sizes
        own = self._complete(policy, problems, prefixes, range(sizes.rollouts))
        chosen = self._chosen(prefixes, sizes.truth_train)
        further = range(sizes.rollouts, sizes.rollouts + sizes.truth)
        truth = self._complete(policy, problems, chosen, further)
        found = {POLICY: own}
        for name in ("hot", "early"):
            completer = _completer(self._config, name)
            weak = range(sizes.weak_rollouts)
            found[name] = self._complete(completer, problems, prefixes, weak)
        return found, _counts(truth)

    def _chosen(self, prefixes: Mapping[str, "_Prefix"], count: int) -> dict[str, "_Prefix"]:
        keys = sorted(prefixes)
        random.Random(f"{self._seed} truth").shuffle(keys)
        return {key: prefixes[key] for key in keys[:count]}

    def _complete(
        self,
        completer: Policy,
        problems: Mapping[str, Problem],
        prefixes: Mapping[str, "_Prefix"],
        indices: range,
    ) -> dict[str, Outcomes]:
        wanted = [
            _Wanted(problems[p.problem_id], p.text, index)
            for p in prefixes.values()
            for index in indices
        ]
        codes = self._sample(completer, "completion", wanted)
        self._completions += len(codes)
        passed = self._judge([(w.problem, code) for w, code in zip(wanted, codes, strict=True)])
        marks = iter("-" if verdict is None else str(int(verdict)) for verdict in passed)
        return {key: "".join(islice(marks, len(indices))) for key in prefixes}

    def _sample(self, policy: Policy, kind: str, wanted: Sequence[_Wanted]) -> list[str | None]:
        """Code of each answer; None where the policy changed the prefix."""
        identity = dict(policy.identity())
        found: list[str | None] = []
        size = len(wanted) if getattr(policy, "streams", False) else policy.batch
        for start in range(0, len(wanted), max(1, size)):
            requests = []
            for w in wanted[start : start + size]:
                key = key_of(kind, identity, w.problem.key, w.prefix, w.index, self._seed)
                requests.append(
                    Request(
                        key=key,
                        problem=w.problem,
                        index=w.index,
                        seed=int(key[:15], 16),
                        prefix=w.prefix,
                    )
                )
            answers = {sample.key: sample for sample in policy.sample(requests)}
            answered = (answers[request.key] for request in requests)
            found += [sample.code if sample.kept else None for sample in answered]
        return found

    def _judge(self, programs: Sequence[tuple[Problem, str | None]]) -> list[bool | None]:
        """Verdicts; equal programs of a problem are judged once in a world."""
        fresh: dict[str, tuple[str, str]] = {}
        jobs = []
        for problem, code in programs:
            if code is None or (problem.problem_id, code) in self._verdicts:
                continue
            key = key_of(problem.problem_id, code)
            if key not in fresh:
                fresh[key] = (problem.problem_id, code)
                jobs.append(Job(key=key, code=code, suite=problem.hidden))
        for verdict in self._executor.judge(jobs):
            self._verdicts[fresh[verdict.key]] = verdict.passed
        return [
            None if code is None else self._verdicts.get((problem.problem_id, code))
            for problem, code in programs
        ]


@dataclass(frozen=True, slots=True)
class _Prefix:
    problem_id: str
    text: str


def _labelled(wanted: _Wanted, code: str, passed: bool | None) -> LabelledProgram:
    problem = wanted.problem
    ends, _ = find_steps(code, max_steps=MAX_STEPS)
    zeros = (0,) * (len(ends) - 1)
    return LabelledProgram(
        generation=key_of(problem.problem_id, wanted.index),
        problem_id=problem.problem_id,
        statement=render_statement(problem),
        steps=step_texts(code, ends),
        prefixes=tuple(prefix_key(problem.problem_id, code[:end]) for end in ends),
        k=(*zeros, int(bool(passed))),
        n=(*zeros, int(passed is not None)),
    )


def _prefixes(programs: Iterable[LabelledProgram]) -> dict[str, _Prefix]:
    """Distinct beginnings that end before a program's last step."""
    return dict(_each_prefix(programs))


def _each_prefix(programs: Iterable[LabelledProgram]) -> Iterator[tuple[str, _Prefix]]:
    for program in programs:
        for i, key in enumerate(program.prefixes[:-1]):
            yield key, _Prefix(program.problem_id, "".join(program.steps[: i + 1]))


def _counts(outcomes: Mapping[str, Outcomes]) -> dict[str, tuple[int, int]]:
    return {key: (o.count("1"), len(o) - o.count("-")) for key, o in outcomes.items()}


def _policy(**options: str | float) -> Policy:
    settings = {"model": "tiny", "prompt": "statement", "device": "cpu", **options}
    policy: Policy = registry.build("policies", "huggingface", settings)
    return policy


def _completer(config: LabConfig, name: str) -> Policy:
    if name == "hot":
        return _policy(temperature=config.hot)
    return _policy(model=str(resources.files("funprm").joinpath("policies", "tiny", "early")))
