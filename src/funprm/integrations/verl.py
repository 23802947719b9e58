"""Rewards for verl: `compute_score`, and `compute_score_async` for its reward loop.

`reward.custom_reward_function.path` is this file (`python -m funprm.integrations.verl` prints it),
`.name` one of the functions, `.reward_kwargs` their settings. `ground_truth` holds what `rows`
writes.
"""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from funprm.integrations.rewards import (
    OutcomeReward,
    Reward,
    StepReward,
    Tests,
    column_of,
    problem_of,
    required,
)
from funprm.prompts import build_chat
from funprm.records import Json, Problem


def compute_score(  # noqa: PLR0913  (verl's, and settings with defaults)
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: object = None,
    *,
    prm: str = "",
    tests: Tests = "hidden",
    share: bool = False,
    not_measured: float | None = None,
    **others: object,
) -> dict[str, float | str]:
    """The reward of one answer, and facts for the log.

    Args:
        data_source: the data set's name; not used.
        solution_str: the policy's answer.
        ground_truth: a problem, as `rows` writes it.
        extra_info: not used.
        prm: a reward model's folder or hub name: its score; empty: judged by tests.
        tests: as of `OutcomeReward`.
        share: as of `OutcomeReward`.
        not_measured: the reward where an answer cannot be measured; None: an error.
        others: what verl gives beside; not used.

    Returns:
        `score` and the facts of `Measured`.

    Raises:
        DataError: `ground_truth` is no problem.
        ExecutorError: the answer could not be measured.
    """
    reward = _reward(prm, tests, share)
    (measured,) = reward.measure([problem_of(ground_truth)], [solution_str])
    return {"score": required(measured, not_measured), **measured.facts}


async def compute_score_async(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: object = None,
    **settings: Any,  # noqa: ANN401
) -> dict[str, float | str]:
    """As `compute_score`, without keeping verl's event loop waiting."""
    given = (data_source, solution_str, ground_truth, extra_info)
    return await asyncio.to_thread(compute_score, *given, **settings)


def rows(
    problems: Iterable[Problem], prompt: str = "plain", data_source: str = "funprm"
) -> Iterator[dict[str, Json]]:
    """The rows of verl's data set, to be written as a Parquet file.

    Args:
        problems: what is to be learned; keep those of an evaluation out.
        prompt: a style of docs/prompts.md, of one chat.
        data_source: the name that verl's tables show.
    """
    for problem in problems:
        yield {
            "data_source": data_source,
            "prompt": [{"role": t.role, "content": t.content} for t in build_chat(problem, prompt)],
            "ability": "code",
            "reward_model": {"style": "rule", "ground_truth": column_of(problem)},
            "extra_info": {"problem_id": problem.problem_id},
        }


@lru_cache(maxsize=8)
def _reward(prm: str, tests: Tests, share: bool) -> Reward:
    """One per process: workers and weights are kept."""
    return StepReward(prm) if prm else OutcomeReward(tests, share=share)


if __name__ == "__main__":
    sys.stdout.write(f"{__file__}\n")
