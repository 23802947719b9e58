"""Scores over HTTP are the library's, alone and many at once."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from funprm.commands.one_problem import ProcessRewardModel
from funprm.records import Problem
from tests.serve.world import ADD, BAD, GOOD, Served, served

TWO = "def double(x):\n    return 2 * x\n\n\ndef solve(x):\n    return double(x) + 1\n"


@pytest.fixture(scope="module")
def model(prm: str) -> ProcessRewardModel:
    return ProcessRewardModel(prm)


def test_steps(server: Served, model: ProcessRewardModel) -> None:
    answer = server.post("/steps", {"statement": ADD, "programs": [TWO, GOOD]}).json()
    wanted = model.score(Problem.of(ADD), [TWO, GOOD])
    for row, scores, code in zip(answer["data"], wanted, (TWO, GOOD), strict=True):
        assert [f["name"] for f in row["functions"]] == list(scores.names)
        assert [f["score"] for f in row["functions"]] == pytest.approx(list(scores), abs=1e-6)
        assert row["score"] == pytest.approx(scores.score, abs=1e-6)
        assert "".join(code[f["start"] : f["end"]] for f in row["functions"]) == code


def test_score(server: Served, model: ProcessRewardModel) -> None:
    wanted = [s.score for s in model.score(Problem.of(ADD), [GOOD, BAD])]
    for path in ("/score", "/v1/score"):
        answer = server.post(path, {"model": "m", "text_1": ADD, "text_2": [GOOD, BAD]}).json()
        assert [row["score"] for row in answer["data"]] == pytest.approx(wanted, abs=1e-6)
        assert answer["object"] == "list"
    assert server.post("/score", {"text_1": [ADD] * 2, "text_2": [GOOD] * 3}).status_code == 400


def test_classify_and_pooling(server: Served, model: ProcessRewardModel) -> None:
    (scores,) = model.score(Problem.of(ADD), [TWO])
    said = [{"role": "user", "content": ADD}, {"role": "assistant", "content": f"```\n{TWO}```"}]
    pooled = server.post("/pooling", {"model": "m", "messages": said}).json()
    assert [row[0] for row in pooled["data"][0]["data"]] == pytest.approx(list(scores), abs=1e-6)
    found = server.post("/classify", {"model": "m", "messages": said}).json()["data"][0]
    assert found["probs"] == pytest.approx([scores[-1]], abs=1e-6)
    assert found["num_classes"] == 1
    plain = server.post("/classify", {"messages": said, "use_activation": False}).json()
    logit = math.log(scores[-1] / (1 - scores[-1]))
    assert plain["data"][0]["probs"] == pytest.approx([logit], abs=1e-5)


def test_rendered_texts(server: Served, model: ProcessRewardModel) -> None:
    (scores,) = model.score(Problem.of(ADD), [GOOD])
    text = f"<|problem|>{ADD}<|solution|>{GOOD}<|step|>"
    found = server.post("/classify", {"input": [text, text]}).json()["data"]
    assert [row["probs"][0] for row in found] == pytest.approx([scores[-1]] * 2, abs=1e-6)
    refused = server.post("/pooling", {"input": GOOD})
    assert refused.status_code == 400
    assert "<|step|>" in refused.json()["error"]["message"]
    assert server.post("/pooling", {}).status_code == 400


def test_a_program_that_does_not_fit(server: Served) -> None:
    answer = server.post("/steps", {"statement": ADD, "programs": [GOOD * 3000, GOOD]}).json()
    assert answer["data"][0]["score"] is None
    assert answer["data"][1]["score"] is not None
    refused = server.post("/score", {"text_1": ADD, "text_2": GOOD * 3000})
    assert refused.json()["error"]["code"] == "context_length_exceeded"


def test_many_requests_share_passes(server: Served, model: ProcessRewardModel) -> None:
    codes = [f"def f{i}(x):\n    return x + {i}\n" for i in range(48)]
    wanted = [s.score for s in model.score(Problem.of(ADD), codes)]
    before = server.services.metrics.passes._value.get()

    def one(code: str) -> float:
        answer = server.post("/score", {"text_1": ADD, "text_2": code}).json()
        return float(answer["data"][0]["score"])

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(one, codes))
    assert found == pytest.approx(wanted, abs=1e-5)
    assert server.services.metrics.passes._value.get() - before < len(codes)


def test_too_many_programs(server: Served) -> None:
    answer = server.post("/steps", {"statement": ADD, "programs": ["x"] * 1025})
    assert answer.json()["error"]["code"] == "too_many_programs"


def test_without_a_reward_model() -> None:
    with served() as server:
        answer = server.post("/steps", {"statement": ADD, "programs": [GOOD]})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "no_reward_model"
