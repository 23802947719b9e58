"""What a policy is rewarded for: programs that pass tests, or functions that a model believes in.

A reward measures answers for problems. What could not be measured has none: it is never a zero.
"""

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

import msgspec

from funprm.commands.one_problem import ProcessRewardModel
from funprm.errors import ConfigError, DataError, ExecutorError
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Executor, Job
from funprm.prompts import render_statement
from funprm.prompts.answers import extract_code
from funprm.records import Problem, Status, Verdict

Tests = Literal["hidden", "public"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What an answer is worth."""

    reward: float | None
    """In [0, 1]; None: it could not be measured."""
    facts: Mapping[str, float | str] = field(default_factory=dict)
    """For a trainer's log; the same names for every answer."""


class Reward(Protocol):
    """Measures answers of a policy."""

    name: str

    def measure(self, problems: Sequence[Problem], answers: Sequence[str]) -> list[Measured]:
        """The worth of each answer to the problem at its place, in order."""
        ...


class OutcomeReward:
    """1 where a program passes the tests of its problem, else 0; programs run in isolation.

    Every worker has a thread, so that calls from several threads share them. Workers start with
    the first program and end with `close`, with this object, or with this process.

    Args:
        tests: the hidden ones, which say what is right, or the public ones.
        share: the share of the tests that are passed, in place of all or nothing.
        workers: programs that run at once; 0: one per core.
        make: an executor with one worker; default a `LocalExecutor`.

    Raises:
        ConfigError: there are no such tests.
    """

    name = "outcome"

    def __init__(
        self,
        tests: Tests = "hidden",
        *,
        share: bool = False,
        workers: int = 0,
        make: Callable[[], Executor] = lambda: LocalExecutor(workers=1),
    ) -> None:
        if tests not in ("hidden", "public"):
            raise ConfigError(f"tests = {tests!r}: expected hidden or public")
        self._tests, self._share, self._make = tests, share, make
        count = workers or len(os.sched_getaffinity(0))
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="funprm-reward")
        self._local = threading.local()
        self._executors: list[Executor] = []
        self._end = weakref.finalize(self, _end, self._threads, self._executors)

    def measure(self, problems: Sequence[Problem], answers: Sequence[str]) -> list[Measured]:
        """As `Reward.measure`.

        Raises:
            DataError: a problem has no such tests.
            ExecutorError: programs cannot be isolated here.
        """
        return list(self._threads.map(self._measured, problems, answers))

    def close(self) -> None:
        """End all workers."""
        self._end()

    def _measured(self, problem: Problem, answer: str) -> Measured:
        suite = problem.hidden if self._tests == "hidden" else problem.public
        if suite is None or not suite.has_tests:
            raise DataError(
                f"problem {problem.problem_id!r} has no {self._tests} tests to judge by"
            )
        job = Job(
            key="", code=extract_code(answer), suite=suite, stop_at_first_failure=not self._share
        )
        (verdict,) = self._executor().judge([job])
        return Measured(reward=self._worth(verdict), facts={"status": verdict.status.value})

    def _worth(self, verdict: Verdict) -> float | None:
        if verdict.passed is None or not self._share or not verdict.results:
            return None if verdict.passed is None else float(verdict.passed)
        return sum(r.status is Status.PASSED for r in verdict.results) / verdict.total

    def _executor(self) -> Executor:
        """The executor of this thread."""
        if not hasattr(self._local, "executor"):
            self._local.executor = self._make()
            self._executors.append(self._local.executor)
        executor: Executor = self._local.executor
        return executor


def _end(threads: ThreadPoolExecutor, executors: Sequence[Executor]) -> None:
    threads.shutdown(wait=True, cancel_futures=True)
    for executor in executors:
        executor.close()


class StepReward:
    """What a reward model says of a program's functions, as one number.

    No test is run: a policy that learns from this alone learns to please the model. Give it
    beside an `OutcomeReward`, or watch the hidden tests.

    Args:
        prm: a reward model, a folder as training writes it, or a hub name.
    """

    name = "steps"

    def __init__(self, prm: ProcessRewardModel | str) -> None:
        self._prm = prm if isinstance(prm, ProcessRewardModel) else ProcessRewardModel(prm)
        self._lock = threading.Lock()

    def measure(self, problems: Sequence[Problem], answers: Sequence[str]) -> list[Measured]:
        """As `Reward.measure`; None where a program does not fit the model's input."""
        pairs = [
            (render_statement(problem), extract_code(answer))
            for problem, answer in zip(problems, answers, strict=True)
        ]
        with self._lock:
            found = self._prm.score_pairs(pairs)
        return [
            Measured(
                reward=scores.score,
                facts={
                    "functions": float(len(scores.names)),
                    "lowest": min(scores, default=0.0),
                    "scores": ", ".join(
                        f"{name or '(no function)'} {value:.3f}"
                        for name, value in zip(scores.names, scores, strict=False)
                    ),
                },
            )
            for scores in found
        ]


def column_of(problem: Problem) -> str:
    """A problem with its tests as a text, for a column of a trainer's data set."""
    return msgspec.json.encode(problem).decode()


@lru_cache(maxsize=4096)
def problem_of(column: str) -> Problem:
    """The problem in such a column.

    Raises:
        DataError: the text holds none.
    """
    try:
        return msgspec.json.decode(column, type=Problem)
    except (msgspec.DecodeError, TypeError) as error:
        raise DataError(
            f"{str(column)[:60]!r} is no problem ({error}): expected a text that `column_of` wrote"
        ) from error


def required(measured: Measured, otherwise: float | None) -> float:
    """The reward for a trainer that must have one.

    Raises:
        ExecutorError: there is none, and nothing was said to take in its place.
    """
    reward = otherwise if measured.reward is None else measured.reward
    if reward is None:
        raise ExecutorError(
            f"a program could not be measured ({dict(measured.facts)}), which is no failure of it: "
            "run `funprm doctor`, or set not_measured to the reward that it gets then"
        )
    return reward
