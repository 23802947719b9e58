"""Our judge as inspect_ai's scorer; skipped where that is not installed."""

from pathlib import Path
from typing import Any

import pytest

import funprm
from funprm.integrations.inspect_ai import judged, samples

inspect_ai = pytest.importorskip("inspect_ai", reason="pip install inspect-ai")
pytestmark = pytest.mark.filterwarnings("ignore")

PROBLEMS = [
    funprm.Problem.of(
        f"Return {n} x.",
        entry_point="f",
        examples=[((1,), n)],
        hidden=[((2,), 2 * n)],
        problem_id=f"times-{n}",
    )
    for n in (2, 3)
]
ANSWER = "Here:\n```python\ndef f(x):\n    return 2 * x\n```"


def evaluated(folder: Path, scorer: Any) -> Any:
    """The log of an evaluation in which every answer is `ANSWER`; no model counts tokens."""
    models = pytest.importorskip("inspect_ai.model")
    solvers = pytest.importorskip("inspect_ai.solver")

    async def answer(state: Any, generate: Any) -> Any:
        state.output = models.ModelOutput.from_content("mockllm/model", ANSWER)
        return state

    solver = solvers.solver(name="answers")(lambda: answer)()
    task = inspect_ai.Task(dataset=samples(PROBLEMS), solver=solver, scorer=scorer)
    (log,) = inspect_ai.eval(task, model="mockllm/model", log_dir=str(folder), display="none")
    assert log.status == "success", log.error
    return log


def test_an_evaluation_is_judged_by_the_hidden_tests(tmp_path: Path) -> None:
    log = evaluated(tmp_path, judged(workers=1))
    (scores,) = log.results.scores
    assert scores.metrics["accuracy"].value == 0.5
    found = {sample.id: sample.scores["funprm_judged"] for sample in log.samples}
    first, second = (found[problem.problem_id] for problem in PROBLEMS)
    assert (first.value, first.explanation) == (1.0, "passed")
    assert (second.value, second.explanation) == (0.0, "wrong answer")
    assert first.answer == "def f(x):\n    return 2 * x\n"


def test_what_could_not_be_judged_is_left_unscored(tmp_path: Path) -> None:
    from tests.integrations.test_rewards import Fails

    log = evaluated(tmp_path, judged(workers=1, make=Fails))
    (scores,) = log.results.scores
    assert (scores.scored_samples, scores.unscored_samples) == (0, 2)
