"""Rewards for OpenRLHF: `--remote_rm_url FILE` names a file with a `reward_func`.

This file is one, for the outcome (`python -m funprm.integrations.openrlhf` prints its path); a
file of one's own has others: `reward_func = make(StepReward("runs/demo/prm/funprm/model"))`.
`--label_key label` of the rows that `rows` writes.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from statistics import fmean
from typing import Any

from funprm.integrations.rewards import (
    OutcomeReward,
    Reward,
    StepReward,
    column_of,
    problem_of,
    required,
)
from funprm.prompts import build_prompt
from funprm.records import Json, Problem

__all__ = ["OutcomeReward", "StepReward", "make", "reward_func", "rows"]

RewardFunction = Callable[..., dict[str, Any]]


def make(reward: Reward, not_measured: float | None = None) -> RewardFunction:
    """A reward as a function of OpenRLHF.

    Args:
        reward: measures answers.
        not_measured: the reward where an answer cannot be measured; None: an error.
    """

    def reward_func(
        queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **others: object
    ) -> dict[str, Any]:
        """`rewards`, `scores` (the same, in [0, 1]) and `extra_logs`, a tensor each.

        Raises:
            DataError: a label is no problem.
            ExecutorError: an answer could not be measured.
        """
        import torch

        answers = [q.removeprefix(p) for q, p in zip(queries, prompts, strict=True)]
        measured = reward.measure([problem_of(label) for label in labels], answers)
        rewards = torch.tensor([required(item, not_measured) for item in measured])
        unmeasured = fmean(item.reward is None for item in measured)
        logs = {f"funprm_{reward.name}": rewards, "not_measured": torch.tensor(unmeasured)}
        return {"rewards": rewards, "scores": rewards, "extra_logs": logs}

    return reward_func


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **others: object
) -> dict[str, Any]:
    """1 where an answer passes its problem's hidden tests, judged in isolation; as `make`."""
    return _outcome()(queries, prompts, labels, **others)


def rows(problems: Iterable[Problem], prompt: str = "plain") -> Iterator[dict[str, Json]]:
    """The rows of a data set: `input` (the prompt, one text) and `label`.

    Args:
        problems: what is to be learned; keep those of an evaluation out.
        prompt: a style of docs/prompts.md, of one chat.
    """
    for problem in problems:
        yield {"input": build_prompt(problem, prompt), "label": column_of(problem)}


@lru_cache(maxsize=1)
def _outcome() -> RewardFunction:
    """One per process: its workers are kept."""
    return make(OutcomeReward())


if __name__ == "__main__":
    sys.stdout.write(f"{__file__}\n")
