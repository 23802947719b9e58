"""Rewards for trainers of policies, as each trainer calls them."""

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import funprm
from funprm.errors import ConfigError, DataError, ExecutorError
from funprm.integrations import openrlhf, trl, verl
from funprm.integrations.rewards import OutcomeReward, StepReward, column_of, problem_of
from funprm.interfaces import Executor
from funprm.records import Status, Verdict
from tests.models import save_prm

DOUBLE = funprm.Problem.of(
    "Return 2 x.", entry_point="f", examples=[((1,), 2)], hidden=[((2,), 4), ((0,), 0)]
)
SHOW = funprm.Problem.of("Print 7.", examples=[("", "7\n")])
RIGHT = "def f(x):\n    return 2 * x\n"
PUBLIC_ONLY = "def f(x):\n    return 2\n"
HALF = "def f(x):\n    return x * x * 2 if x < 2 else 0\n"
FENCED = f"Think.\n```python\n{RIGHT}```\nDone."


@pytest.fixture(scope="module")
def outcome() -> Iterator[OutcomeReward]:
    reward = OutcomeReward(workers=2)
    yield reward
    reward.close()


@pytest.fixture(scope="module")
def prm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_prm(tmp_path_factory.mktemp("prm") / "model")


class Fails:
    """An executor that cannot judge."""

    def identity(self) -> dict[str, str]:
        return {}

    def judge(self, jobs: Any) -> Iterator[Verdict]:
        return (Verdict(key=job.key, status=Status.NOT_JUDGED, detail="no room") for job in jobs)

    def close(self) -> None:
        pass


def rewards(found: Any) -> list[float | None]:
    return [item.reward for item in found]


def test_an_outcome_is_judged_by_the_hidden_tests(outcome: OutcomeReward) -> None:
    problems = [DOUBLE] * 4 + [SHOW]
    found = outcome.measure(problems, [RIGHT, PUBLIC_ONLY, FENCED, "def f(", "print(7)"])
    assert rewards(found) == [1.0, 0.0, 1.0, 0.0, 1.0]
    assert [item.facts["status"] for item in found][1] == "wrong answer"


def test_public_tests_and_shares_of_tests() -> None:
    public, share = OutcomeReward("public", workers=1), OutcomeReward(share=True, workers=1)
    try:
        assert rewards(public.measure([DOUBLE], [PUBLIC_ONLY])) == [1.0]
        answers = [RIGHT, PUBLIC_ONLY, HALF]
        assert rewards(share.measure([DOUBLE] * 3, answers)) == [
            1.0, pytest.approx(1 / 3), pytest.approx(2 / 3)
        ]  # fmt: skip
        with pytest.raises(DataError, match="has no public tests"):
            public.measure([funprm.Problem.of("x", entry_point="f", hidden=[((1,), 1)])], ["x"])
    finally:
        public.close()
        share.close()
    with pytest.raises(ConfigError, match="tests = 'secret': expected hidden or public"):
        OutcomeReward("secret")  # type: ignore[arg-type]


def test_what_could_not_be_judged_is_never_a_zero() -> None:
    made: list[Executor] = []

    def make() -> Executor:
        made.append(Fails())
        return made[-1]

    fails = OutcomeReward(workers=1, make=make)
    assert trl.TrlReward(fails)(["p"], [RIGHT], problem=[column_of(DOUBLE)]) == [None]
    with pytest.raises(ExecutorError, match="could not be measured .*not judged.*funprm doctor"):
        openrlhf.make(fails)([RIGHT], [""], [column_of(DOUBLE)])
    found = openrlhf.make(fails, not_measured=0.5)([RIGHT], [""], [column_of(DOUBLE)])
    assert (found["rewards"].tolist(), float(found["extra_logs"]["not_measured"])) == ([0.5], 1.0)
    assert len(made) == 1
    fails.close()


def test_workers_end_with_the_reward() -> None:
    closed: list[bool] = []

    class Closes(Fails):
        def close(self) -> None:
            closed.append(True)

    reward = OutcomeReward(workers=1, make=Closes)
    reward.measure([DOUBLE], [RIGHT])
    del reward
    gc.collect()
    assert closed == [True]


def test_isolation_holds_for_rewarded_programs(outcome: OutcomeReward, tmp_path: Path) -> None:
    target = tmp_path / "stolen"
    hostile = f"open({str(target)!r}, 'w').write('x')\ndef f(x):\n    return 2 * x\n"
    lies = "import sys\nclass E:\n    __eq__ = lambda s, o: True\ndef f(x):\n    return E()\n"
    found = outcome.measure([DOUBLE] * 2, [hostile, lies])
    assert not target.exists()
    assert rewards(found)[1] == 0.0


def test_steps_are_the_library_s_scores(prm: Path) -> None:
    reward = StepReward(str(prm))
    (found, too_long) = reward.measure([DOUBLE] * 2, [FENCED, "x = 1\n" * 5000])
    (scores,) = funprm.load_prm(prm).score(DOUBLE, [RIGHT])
    assert found.reward == pytest.approx(scores.score)
    assert found.facts == {
        "functions": 1.0, "lowest": scores[0], "scores": f"f {scores[0]:.3f}"
    }  # fmt: skip
    assert too_long.reward is None
    assert too_long.facts.keys() == found.facts.keys()


def test_a_problem_survives_a_column() -> None:
    assert problem_of(column_of(DOUBLE)) == DOUBLE
    with pytest.raises(DataError, match="'42' is no problem .*expected a text that `column_of`"):
        problem_of("42")


# --- as trainers call them ---------------------------------------------------------------------


def test_trl_gives_columns_and_gets_a_list(outcome: OutcomeReward, prm: Path) -> None:
    table = list(trl.rows([DOUBLE, SHOW]))
    assert table[0]["prompt"][-1]["role"] == "user"
    assert "Return 2 x." in table[0]["prompt"][-1]["content"]
    hidden = json.dumps(table[0]["prompt"])
    assert "4" not in hidden.replace("2 x", "")
    call: dict[str, Any] = {
        "prompts": [row["prompt"] for row in table],
        "problem": [row["problem"] for row in table],
        "completion_ids": [[1], [2]],
        "trainer_state": None,
    }
    answers = [[{"role": "assistant", "content": text}] for text in (FENCED, "print(8)")]
    reward = trl.TrlReward(outcome)
    assert reward.__name__ == "funprm_outcome"
    assert reward(completions=answers, **call) == [1.0, 0.0]
    assert reward(completions=[RIGHT, "print(7)"], **call) == [1.0, 1.0]
    scored = trl.step_reward(str(prm))(completions=answers, **call)
    assert all(score is not None and 0 < score < 1 for score in scored)
    with pytest.raises(DataError, match="no column `problem`: write it with"):
        reward(prompts=["p"], completions=[RIGHT])


def test_verl_gets_a_score_and_facts(prm: Path) -> None:
    (row,) = verl.rows([DOUBLE], data_source="mine")
    truth = row["reward_model"]["ground_truth"]
    given = {"data_source": "mine", "ground_truth": truth, "extra_info": row["extra_info"]}
    others: dict[str, Any] = {"reward_router_address": None, "reward_model_tokenizer": None}
    found = verl.compute_score(solution_str=FENCED, **given, **others)
    assert found == {"score": 1.0, "status": "passed"}
    assert verl.compute_score("mine", PUBLIC_ONLY, truth)["score"] == 0.0
    assert verl.compute_score("mine", PUBLIC_ONLY, truth, tests="public")["score"] == 1.0
    assert 0 < float(verl.compute_score("mine", RIGHT, truth, prm=str(prm))["score"]) < 1

    async def together() -> list[Any]:
        calls = [verl.compute_score_async("mine", code, truth) for code in (RIGHT, PUBLIC_ONLY) * 4]
        return await asyncio.gather(*calls)

    assert [item["score"] for item in asyncio.run(together())] == [1.0, 0.0] * 4


def test_verl_and_openrlhf_load_files_by_their_paths(tmp_path: Path) -> None:
    for name, function in (("verl", "compute_score"), ("openrlhf", "reward_func")):
        command = [sys.executable, "-m", f"funprm.integrations.{name}"]
        path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert f"def {function}(" in Path(path).read_text()


def test_openrlhf_gets_tensors(outcome: OutcomeReward) -> None:
    table = list(openrlhf.rows([DOUBLE, SHOW]))
    prompts, labels = ([row[key] for row in table] for key in ("input", "label"))
    queries = [prompts[0] + FENCED, prompts[1] + "print(8)"]
    found = openrlhf.make(outcome)(queries, prompts, labels)
    assert torch.equal(found["rewards"], torch.tensor([1.0, 0.0]))
    assert found["scores"] is found["rewards"]
    assert found["extra_logs"]["not_measured"] == 0.0
    again = openrlhf.reward_func(queries=queries, prompts=prompts, labels=labels)
    assert torch.equal(again["rewards"], found["rewards"])


def test_importing_rewards_loads_no_torch() -> None:
    code = "import sys, funprm.integrations.trl, funprm.integrations.verl; "
    code += "import funprm.integrations.openrlhf; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
