"""Reward models as its_hub calls them; its own algorithms run where it is installed."""

import asyncio
from typing import Any

import pytest

import funprm
from funprm.integrations.its_hub import OutcomeModel, StepModel
from tests.models import save_prm

STATEMENT = "Return 2 x."
PROGRAMS = [f"def f(x):\n    return {n} * x\n" for n in (2, 30, 456)]


@pytest.fixture(scope="module")
def prm(tmp_path_factory: pytest.TempPathFactory) -> funprm.ProcessRewardModel:
    return funprm.load_prm(save_prm(tmp_path_factory.mktemp("prm") / "model"))


@pytest.fixture(scope="module")
def expected(prm: funprm.ProcessRewardModel) -> list[float]:
    found = [scores.score for scores in prm.score_pairs([(STATEMENT, p) for p in PROGRAMS])]
    assert len(set(found)) == len(PROGRAMS)
    return [score for score in found if score is not None]


def chat(program: str) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": STATEMENT}]},
        {"role": "assistant", "content": f"Here:\n```python\n{program}```"},
    ]


def test_conversations_and_beginnings_get_the_library_s_scores(
    prm: funprm.ProcessRewardModel, expected: list[float]
) -> None:
    model = OutcomeModel(prm)
    chats = [chat(program) for program in PROGRAMS]
    assert model.score(chats) == pytest.approx(expected)
    assert model.score(chats[0]) == pytest.approx(expected[0])
    assert asyncio.run(model.ascore(chats, orchestrator=None)) == pytest.approx(expected)
    assert StepModel(prm).score(STATEMENT, PROGRAMS) == pytest.approx(expected)
    assert asyncio.run(StepModel(prm).ascore(chats[0][:2], PROGRAMS)) == pytest.approx(expected)


def test_its_hub_chooses_the_program_that_the_library_chooses(
    prm: funprm.ProcessRewardModel, expected: list[float]
) -> None:
    api = pytest.importorskip("its_hub.api", reason="pip install its-hub")
    bon = pytest.importorskip("its_hub.core.algorithms.bon")

    kind: Any = api.AbstractLanguageModel

    class Model(kind):  # type: ignore[misc]
        async def agenerate(self, messages: Any, *args: Any, **settings: Any) -> Any:
            several = isinstance(messages[0], list)
            answers = [{"role": "assistant", "content": program} for program in PROGRAMS]
            return answers if several else answers.pop(0)

        def generate(self, *args: Any, **settings: Any) -> Any:
            raise NotImplementedError

        async def aevaluate(self, *args: Any, **settings: Any) -> Any:
            raise NotImplementedError

        def evaluate(self, *args: Any, **settings: Any) -> Any:
            raise NotImplementedError

    class Orchestrator:
        async def agenerate(self, lm: Any, batch: Any, **settings: Any) -> Any:
            return await lm.agenerate(batch)

    algorithm = bon.BestOfN(OutcomeModel(prm), orchestrator=Orchestrator())
    found = asyncio.run(algorithm.ainfer(Model(), STATEMENT, 3, return_response_only=False))
    assert found.scores == pytest.approx(expected)
    assert found.the_one["content"] == PROGRAMS[expected.index(max(expected))]


def test_a_program_that_does_not_fit_gets_the_lowest_score(
    prm: funprm.ProcessRewardModel,
) -> None:
    assert OutcomeModel(prm).score(chat("x = 1\n" * 5000)) == 0.0
