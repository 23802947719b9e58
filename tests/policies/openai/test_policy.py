import json
import threading
from typing import Any

import pytest

from funprm.errors import ConfigError
from funprm.policies.openai.policy import OpenAIPolicy
from funprm.testing.server import Script, serve
from tests.policies.openai.requests import policy, requests


def test_each_request_gets_its_answer_and_usage() -> None:
    wanted = requests(3, problems=4)
    with serve() as server:
        tested = policy(server.url, price_input=1.0, price_output=2.0)
        samples = {sample.key: sample for sample in tested.sample(wanted)}
    assert samples.keys() == {request.key for request in wanted}
    for request in wanted:
        sample = samples[request.key]
        assert sample.code == f"print({request.seed}, 0)\n"
        assert sample.text.startswith("Here it is:")
        assert (sample.finish, sample.kept) == ("stop", True)
        assert (sample.prompt_tokens, sample.completion_tokens) == (10, 5)
        assert sample.cost == pytest.approx(20e-6)
        assert sample.seconds > 0
    stats = tested.stats()
    assert (stats.requests, stats.answers, stats.retries) == (12, 12, 0)
    assert (stats.prompt_tokens, stats.completion_tokens) == (120, 60)


def test_the_body_holds_what_was_set_and_no_more() -> None:
    with serve() as server:
        list(policy(server.url, temperature=None).sample(requests(1)))
        settings = {"temperature": 0.5, "top_p": 0.9, "reasoning_effort": "high", "logprobs": True}
        list(policy(server.url, extra_body={"top_k": 20}, **settings).sample(requests(1)))
    bare, full = server.bodies
    assert bare.keys() == {"model", "messages", "max_tokens", "seed", "path"}
    assert bare["messages"][0]["content"].startswith("Write a Python program")
    assert full.items() >= {**settings, "top_k": 20}.items()


def test_raw_completions() -> None:
    with serve() as server:
        tested = policy(server.url, endpoint="completions", prompt="statement", logprobs=True)
        (sample,) = tested.sample(requests(1))
    (body,) = server.bodies
    assert body["path"] == "/v1/completions"
    assert body["prompt"] == "Solve p0.\n"
    assert body["logprobs"] == 1
    assert sample.code == "print(0, 0)\n"


def test_concurrency_is_bounded_and_used() -> None:
    four = threading.Barrier(4, timeout=30)

    def answer(body: Any, index: int) -> str:
        four.wait()
        return "print(1)"

    with serve(Script(answer=answer)) as server:
        list(policy(server.url, concurrency=4, timeout=60.0).sample(requests(16)))
    assert server.most_at_once == 4


def test_answers_are_yielded_before_all_have_arrived() -> None:
    with serve() as server:
        stream = policy(server.url, concurrency=1).sample(requests(50))
        next(stream)
        assert server.delivered.total() < 50
        assert len(list(stream)) == 49


def test_no_requests_no_calls() -> None:
    assert list(policy("http://127.0.0.1:9/v1").sample([])) == []


def test_several_answers_in_one_call() -> None:
    with serve() as server:
        tested = policy(server.url, n_per_request=4)
        samples = list(tested.sample(requests(6, problems=2)))
    assert sorted(body.get("n", 1) for body in server.bodies) == [2, 2, 4, 4]
    assert len({sample.key for sample in samples}) == 12
    assert sum(sample.prompt_tokens for sample in samples) == 4 * 10
    assert sum(sample.completion_tokens for sample in samples) == 12 * 5


def test_a_server_that_gives_fewer_answers_is_asked_singly() -> None:
    with serve(Script(choices=1)) as server:
        tested = policy(server.url, n_per_request=4)
        assert len({sample.key for sample in tested.sample(requests(8))}) == 8
        assert sorted(body.get("n", 1) for body in server.bodies) == [1] * 6 + [4] * 2
        list(tested.sample(requests(4, problems=3)[8:]))
    assert [body.get("n", 1) for body in server.bodies[-4:]] == [1] * 4  # remembered
    assert max(server.delivered.values()) == 1


def test_identity_names_what_determines_answers_only() -> None:
    base = _policy().identity()
    json.dumps(base)
    same: dict[str, Any] = {
        "base_url": "http://h/v1",
        "api_key_env": "K",
        "concurrency": 1,
        "batch": 2,
    }
    same |= {"timeout": 1.0, "retries": 1, "n_per_request": 4, "budget_tokens": 9}
    assert _policy(**same).identity() == base
    for name, value in {
        "model": "n",
        "prompt": "plain",
        "temperature": 0.5,
        "top_p": 0.5,
        "max_tokens": 7,
        "reasoning_effort": "low",
        "endpoint": "completions",
        "continuation": "instruction",
        "extra_body": {"top_k": 1},
    }.items():
        assert _policy(**{name: value}).identity() != base


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": ""}, "model is empty"),
        ({"base_url": "api.example.com/v1"}, "expected http"),
        ({"base_url": "http://u:secret@h/v1"}, "credentials"),
        ({"base_url": "http://h:x/v1"}, "base_url"),
        ({"prompt": "chain"}, "unknown prompt style"),
        ({"concurrency": 0}, "concurrency is 0, expected 1 or more"),
        ({"retries": -1}, "retries"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"timeout": 0.0}, "timeout"),
        ({"budget_cost": 1.0}, "price_input"),
        ({"extra_body": {"n": 3}}, "extra_body must not set n"),
        ({"extra_body": {"x": object()}}, "JSON"),
        ({"endpoint": "completions", "continuation": "prefill"}, "needs endpoint 'chat'"),
        ({"endpoint": "responses"}, "endpoint is 'responses'"),
        ({"continuation": "magic"}, "continuation is 'magic'"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        _policy(**settings)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def _policy(**settings: Any) -> OpenAIPolicy:
    return OpenAIPolicy(**{"model": "m", **settings})
