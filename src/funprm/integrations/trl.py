"""Rewards for TRL's GRPO and its kin.

>>> from funprm.integrations.trl import outcome_reward, rows
>>> # GRPOTrainer(model, reward_funcs=[outcome_reward()], args=config,
>>> #             train_dataset=Dataset.from_list(list(rows(problems))))
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from funprm.commands.one_problem import ProcessRewardModel
from funprm.errors import DataError
from funprm.integrations.rewards import (
    OutcomeReward,
    Reward,
    StepReward,
    column_of,
    problem_of,
)
from funprm.prompts import build_chat
from funprm.records import Json, Problem

Completion = str | Sequence[dict[str, Any]]
"""A text, or the messages of the answer."""


class TrlReward:
    """A reward as a function of TRL: prompts, completions, and the data set's columns.

    The column `problem` holds what `rows` writes. What could not be measured is None, which TRL
    leaves out of its means.

    Args:
        reward: measures answers.
    """

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        self.__name__ = f"funprm_{reward.name}"  # what TRL's log calls it

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Completion],
        problem: Sequence[str] | None = None,
        **columns: object,
    ) -> list[float | None]:
        """One reward per completion.

        Raises:
            DataError: the column `problem` is missing, or holds no problems.
        """
        if problem is None:
            raise DataError(
                "the data set has no column `problem`: write it with funprm.integrations.trl.rows"
            )
        problems = [problem_of(text) for text in problem]
        measured = self.reward.measure(problems, [_text(answer) for answer in completions])
        return [item.reward for item in measured]


def outcome_reward(**settings: Any) -> TrlReward:  # noqa: ANN401
    """1 where a completion passes its problem's hidden tests, judged in isolation.

    Args:
        settings: of `OutcomeReward`, such as `tests="public"` or `share=True`.
    """
    return TrlReward(OutcomeReward(**settings))


def step_reward(prm: ProcessRewardModel | str) -> TrlReward:
    """The score of a completion's functions by a reward model.

    Args:
        prm: as of `StepReward`.
    """
    return TrlReward(StepReward(prm))


def rows(problems: Iterable[Problem], prompt: str = "plain") -> Iterator[dict[str, Json]]:
    """The rows of a training data set: `prompt` (messages), `problem`.

    Args:
        problems: what is to be learned; keep those of an evaluation out.
        prompt: a style of docs/prompts.md, of one chat.
    """
    for problem in problems:
        chat = [{"role": t.role, "content": t.content} for t in build_chat(problem, prompt)]
        yield {"prompt": chat, "problem": column_of(problem)}


def _text(completion: Completion) -> str:
    if isinstance(completion, str):
        return completion
    return "".join(str(message["content"]) for message in completion)
