"""Served reward models, against a server that answers as vLLM and SGLang are documented to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from funprm import registry
from funprm.errors import ConfigError, FunprmError, PolicyError
from funprm.interfaces import PaidScores
from funprm.policies.openai import transport
from funprm.scorers.numbers import sigmoid, softmax
from funprm.testing.server import FAULTS, RefusalError, Script, Server, first, one_in, serve
from tests.scorers.world import PROGRAMS, program, save

USAGE = {"prompt_tokens": 7, "total_tokens": 7, "completion_tokens": 0}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.02)


def logit(text: str) -> float:
    return len(text) % 17 / 4 - 2


def said(body: Mapping[str, Any]) -> str:
    """The text that a server scores."""
    return str(body.get("input") or body["messages"][-1]["content"])


def classify(path: str, body: Mapping[str, Any]) -> Any:
    """One label, as vLLM: a sigmoid unless logits are asked for."""
    raw = logit(said(body))
    number = sigmoid(raw) if body.get("use_activation", True) else raw
    item = {"index": 0, "label": "LABEL_0", "probs": [number], "num_classes": 1}
    return {"id": "c", "object": "list", "model": body["model"], "data": [item], "usage": USAGE}


def pool(path: str, body: Mapping[str, Any]) -> Any:
    """A row per step, as vLLM with STEP pooling."""
    rows = [[sigmoid(logit(part))] for part in said(body).split("<|step|>")[:-1]]
    return {"data": [{"index": 0, "object": "pooling", "data": rows}], "usage": USAGE}


def sglang(path: str, body: Mapping[str, Any]) -> Any:
    assert isinstance(body["input"], str)
    raw = logit(said(body))
    if path == "/v1/embeddings":
        data = {"embedding": [raw], "index": 0, "object": "embedding"}
    else:
        probs = [softmax([0.0, raw], place) for place in (0, 1)]
        data = {"index": 0, "label": "good", "probs": probs, "num_classes": 2}
    return {"object": "list", "data": [data], "usage": USAGE}


def scorer(server: Server, **options: Any) -> Any:
    address = server.url.removesuffix("/v1")
    given = {"model": "tiny", "base_url": address, "timeout": 1.0, **options}
    return registry.build("scorers", "served", given)


def answers(number: int) -> str:
    code = "".join(PROGRAMS[number].steps).strip("\n")
    return f"```python\n{code}\n```"


def test_vllm_classifies_chats() -> None:
    with serve(Script(whole=classify)) as server:
        own = list(scorer(server, system="Be strict.").score(PROGRAMS))
        raw = list(scorer(server, activation="sigmoid", scale=4.0).score(PROGRAMS))
    logits = [logit(answers(number)) for number in range(4)]
    assert own == [pytest.approx((sigmoid(x),)) for x in logits]
    assert raw == [pytest.approx((sigmoid(x / 4),)) for x in logits]
    sent = next(body for body in server.bodies if len(body["messages"]) == 3)
    assert (sent["path"], sent["model"]) == ("/classify", "tiny")
    assert [turn["role"] for turn in sent["messages"]] == ["system", "user", "assistant"]
    assert isinstance(own[0], PaidScores)
    assert own[0].tokens == 7


def test_vllm_pools_steps() -> None:
    with serve(Script(whole=pool)) as server:
        part = scorer(server, api="vllm_pooling", step_end="<|step|>", answer="{{code}}")
        found = list(part.score(PROGRAMS))
    assert [len(scores or ()) for scores in found] == [1, 2, 1, 1]
    assert found[1] == pytest.approx([sigmoid(logit(step)) for step in PROGRAMS[1].steps])


def test_sglang_reads_text_of_the_models_template(tmp_path: Path) -> None:
    folder = str(save(tmp_path / "model", "skywork-qwen"))
    with serve(Script(whole=sglang)) as server:
        rewards = scorer(server, api="sglang_embeddings", tokenizer=folder)
        labels = scorer(server, api="sglang_classify", tokenizer=folder, label=1)
        found = [list(part.score(PROGRAMS[:1])) for part in (rewards, labels)]
    text = server.bodies[0]["input"]
    assert text.startswith("<|im_start|>user\nReturn 0.<|im_end|>")
    assert found[0] == [pytest.approx((sigmoid(logit(text)),))]
    assert found[1] == [pytest.approx((sigmoid(logit(text)),))]


def test_scores_survive_faults_and_stay_in_order() -> None:
    many = [program(number, f"x = {'1' * number}\n") for number in range(60)]
    with serve(Script(whole=classify)) as server:
        expected = list(scorer(server).score(many))
    quick = tuple(fault for fault in FAULTS if fault not in ("hang", "drip"))
    with serve(Script(whole=classify, fault=one_in(4, quick))) as server:
        found = list(scorer(server, concurrency=6).score(many))
    assert found == expected
    assert server.most_at_once <= 6
    assert max(server.delivered.values()) == 1


def test_what_stays_unanswered_is_none_and_what_is_too_long_is_empty() -> None:
    def rule(path: str, body: Mapping[str, Any]) -> None:
        if "return 1" in said(body) and "import" not in said(body):
            raise RefusalError(400, "This model's maximum context length is 9 tokens.")

    calls: list[str] = []

    def fault(call: str, attempt: int) -> Any:
        calls.append(call)
        return "500" if call == calls[0] else ""

    with serve(Script(whole=classify, rule=rule, fault=fault)) as server:
        found = list(scorer(server, retries=0, concurrency=1).score(PROGRAMS))
    assert [found[0], found[3]] == [None, ()]
    assert found[1]
    assert found[2]


def broken(path: str, body: Mapping[str, Any]) -> Any:
    return {"data": [{"index": 0, "data": [[0.5]] * 3}], "usage": USAGE}


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        (Script(whole=classify, key="secret"), {}, "OPENAI_API_KEY is not set"),
        (Script(whole=broken), {"api": "vllm_pooling"}, "3 rows for a program of 1 steps"),
        (Script(whole=broken), {}, "answered no score for label 0"),
        (Script(whole=classify), {"label": 4}, "answered no score for label 4"),
        (Script(whole=classify, fault=first("500", 99)), {"retries": 0}, "left 4 of 4 calls"),
        (Script(whole=classify, rule=lambda path, body: _absent()), {}, "below which /classify"),
        (
            Script(whole=lambda path, body: classify(path, {**body, "use_activation": False})),
            {},
            'not in .0, 1.: set activation = "sigmoid"',
        ),
    ],
)
def test_a_server_that_cannot_score_stops_with_one_line(
    script: Script, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serve(script) as server, pytest.raises(FunprmError, match=message):
        list(scorer(server, **options).score(PROGRAMS))


def _absent() -> None:
    raise RefusalError(404, "Not Found")


def test_softmax_over_one_label_is_refused(tmp_path: Path) -> None:
    folder = str(save(tmp_path / "model", "skywork-qwen"))
    with serve(Script(whole=classify)) as server:
        part = scorer(server, api="sglang_classify", tokenizer=folder)
        with pytest.raises(PolicyError, match="set api = .sglang_embeddings"):
            list(part.score(PROGRAMS))


def test_a_budget_is_kept() -> None:
    with serve(Script(whole=classify)) as server:
        part = scorer(server, budget_tokens=14, concurrency=1)
        found: list[Any] = []
        with pytest.raises(PolicyError, match="budget of 14 tokens is used up"):
            found.extend(part.score(PROGRAMS))
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api": "sglang_classify"}, "takes text: set tokenizer"),
        ({"api": "v1"}, "api = 'v1'"),
        ({"base_url": "localhost"}, "begins with http"),
        ({"concurrency": 0}, "concurrency = 0"),
        ({"budget_cost": 1.0}, "needs prices"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.build("scorers", "served", {"model": "tiny", **options})


def test_addresses_do_not_determine_scores() -> None:
    parts = [
        registry.build("scorers", "served", {"model": "tiny", **more})
        for more in ({}, {"base_url": "http://other", "concurrency": 3}, {"system": "Be strict."})
    ]
    identities = [json.dumps(part.identity(), sort_keys=True) for part in parts]
    assert identities[0] == identities[1] != identities[2]
