"""An evaluation by inspect_ai: `Task(dataset=samples(problems), scorer=judged())`.

The scorer is our judge: programs run in its isolation, no sandbox of inspect_ai is needed.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from funprm.errors import missing_package
from funprm.integrations.rewards import OutcomeReward, column_of, problem_of
from funprm.prompts import build_chat
from funprm.prompts.answers import extract_code
from funprm.records import Problem


def samples(problems: Iterable[Problem], prompt: str = "plain") -> list[Any]:
    """Samples of inspect_ai, whose target holds the problem with its tests.

    Args:
        problems: what is asked.
        prompt: a style of docs/prompts.md, of one chat.

    Raises:
        MissingPackageError: inspect_ai is not installed.
    """
    try:
        from inspect_ai.dataset import Sample
        from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
    except ModuleNotFoundError as error:
        raise missing_package("an evaluation", error) from error
    kinds = {
        "system": ChatMessageSystem,
        "user": ChatMessageUser,
        "assistant": ChatMessageAssistant,
    }
    return [
        Sample(
            id=problem.problem_id,
            input=[kinds[t.role](content=t.content) for t in build_chat(problem, prompt)],
            target=column_of(problem),
        )
        for problem in problems
    ]


def judged(**settings: Any) -> Any:  # noqa: ANN401  (a scorer, or settings of ours)
    """A scorer: 1 where an answer passes its problem's hidden tests, with accuracy and its error.

    What could not be judged is left unscored.

    Args:
        settings: of `OutcomeReward`, such as `tests="public"` or `share=True`.

    Raises:
        MissingPackageError: inspect_ai is not installed.
    """
    try:
        from inspect_ai.scorer import Score, accuracy, scorer, stderr
    except ModuleNotFoundError as error:
        raise missing_package("an evaluation", error) from error
    reward = OutcomeReward(**settings)

    async def score(state: Any, target: Any) -> Any:  # noqa: ANN401
        answer = state.output.completion
        problem = problem_of(target.text)
        (measured,) = await asyncio.to_thread(reward.measure, [problem], [answer])
        if measured.reward is None:
            return Score.unscored(reason="scoring_failed")
        explanation = str(measured.facts["status"])
        code = extract_code(answer)
        return Score(value=measured.reward, answer=code, explanation=explanation)

    return scorer(metrics=[accuracy(), stderr()], name="funprm_judged")(lambda: score)()
