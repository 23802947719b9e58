"""How much a pilot's problems hold, and how much all problems will."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from math import sqrt
from statistics import fmean, variance
from typing import Any

from funprm.evaluation.statistics import Interval, student_quantile
from funprm.pipeline.judging import VerdictIndex
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import prefixes_of
from funprm.records import Score
from funprm.store import encode_line

LEVEL = 0.95
PROGRAMS, COMPLETIONS, JUDGED = "programs", "completions", "programs to judge"
DISK = "MB on disk"
_SCORE = 0.1234567890123456
"""As long as most scores are in a file."""

_Amount = tuple[str, str, float]
"""Of what, of which problem, how much."""


def measured(run: Run, models: int) -> dict[str, dict[str, float]]:
    """What a run holds, by what is counted and by problem.

    Args:
        run: done up to its rewards.
        models: how many score each test program.
    """
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for part in (_programs(run, models), _completions(run), _judged(run)):
        for name, problem_id, amount in part:
            found[name][problem_id] += amount
    return found


def total(splits: Mapping[str, int], seen: Iterable[tuple[str, float]]) -> Interval:
    """A sum over all problems, from some of each split, with its 95 % interval.

    Args:
        splits: how many problems there are.
        seen: split and value of the problems that were looked at.

    >>> total({"train": 3, "test": 100}, [("train", 2.0)] * 3 + [("test", 1.0), ("test", 1.0)])
    Interval(estimate=106.0, low=106.0, high=106.0)
    """
    value = spread = 0.0
    degrees = 0
    for split, group in groupby(sorted(seen), key=lambda item: item[0]):
        values = [value for _, value in group]
        count, size = splits[split], len(values)
        value += count * fmean(values)
        if 1 < size < count:
            spread += count**2 * variance(values) / size * (1 - size / count)
            degrees += size - 1
    half = student_quantile(LEVEL, degrees) * sqrt(spread) if degrees else 0.0
    return Interval(value, max(0.0, value - half), value + half)


def _programs(run: Run, models: int) -> Iterator[_Amount]:
    for program in run.generations.values():
        problem_id, steps = program.problem_id, run.steps[program.key]
        yield PROGRAMS, problem_id, 1
        yield "steps", problem_id, len(steps.ends)
        yield "prompt tokens of programs", problem_id, program.prompt_tokens
        yield "tokens of programs", problem_id, program.completion_tokens
        yield "cost", problem_id, program.cost
        yield DISK, problem_id, _size(program) + _size(steps)
        if run.problems[problem_id].split == "test":
            scores = (_SCORE,) * len(steps.ends)
            line = Score(key=program.key, model="m", generation=program.key, scores=scores)
            yield DISK, problem_id, models * _size(line)
    for reward in run.rewards:
        yield DISK, reward.problem_id, _size(reward)


def _completions(run: Run) -> Iterator[_Amount]:
    """Of completions; the tokens of their prompts, which are not recorded, are about these."""
    programs, k = run.generations.values(), run.config.rollout.k
    asked = fmean([program.prompt_tokens for program in programs] or [0])
    tokens = sum(program.completion_tokens for program in programs)
    letters = sum(len(program.code) for program in programs) / max(1, tokens)
    for problem, prefix in dict(prefixes_of(run)).values() if k else ():
        yield "prefixes", problem.problem_id, 1
        if asked:
            about = k * (asked + len(prefix) / letters)
            yield "prompt tokens of completions", problem.problem_id, about
    for completion in run.rollouts.values():
        yield COMPLETIONS, completion.problem_id, 1
        yield "tokens of completions", completion.problem_id, completion.completion_tokens
        yield "cost", completion.problem_id, completion.cost
        yield DISK, completion.problem_id, _size(completion)


def _judged(run: Run) -> Iterator[_Amount]:
    for problem_id, job in VerdictIndex(run).jobs():
        yield JUDGED, problem_id, 1
        if job.key in run.verdicts:
            yield DISK, problem_id, _size(run.verdicts[job.key])


def _size(record: Any) -> float:  # noqa: ANN401  (any record type)
    """Megabytes of its line."""
    return len(encode_line(record)) / 1e6
