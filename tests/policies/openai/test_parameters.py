"""Parameters that servers refuse are learnt once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from funprm.errors import PolicyError
from funprm.testing.server import RefusalError, Script, serve
from tests.policies.openai.requests import policy, requests


def without(name: str, message: str, **fields: str) -> Script:
    """A server that refuses bodies with this parameter."""

    def rule(path: str, body: Mapping[str, Any]) -> None:
        if name in body:
            raise RefusalError(400, message, **fields)

    return Script(rule=rule)


def test_max_completion_tokens() -> None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead."
    )
    script = without("max_tokens", message, parameter="max_tokens", code="unsupported_parameter")
    with serve(script) as server:
        tested = policy(server.url, max_tokens=77, concurrency=2)
        assert len(list(tested.sample(requests(10)))) == 10
    refused = [body for body in server.bodies if "max_tokens" in body]
    assert 1 <= len(refused) <= 2  # those that were on their way when it was learnt
    assert {b.get("max_completion_tokens") for b in server.bodies if b not in refused} == {77}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("seed", {}, "Unrecognized request argument supplied: seed"),
        ("seed", {}, "{'type': 'extra_forbidden', 'loc': ('body', 'seed')} extra inputs"),
        ("logprobs", {"logprobs": True}, "logprobs are not supported by this model"),
        ("top_logprobs", {"logprobs": True}, "unknown field: top_logprobs"),
        ("n", {"n_per_request": 3}, "n must be at most 1"),
    ],
)
def test_what_it_can_do_without(name: str, settings: dict[str, Any], message: str) -> None:
    with serve(without(name, message)) as server:
        tested = policy(server.url, concurrency=1, **settings)
        assert len(list(tested.sample(requests(6)))) == 6
    assert sum(name in body for body in server.bodies) <= 1


def test_log_probabilities_are_left_out_with_all_that_belongs_to_them() -> None:
    with serve(without("logprobs", "logprobs are not supported by this model")) as server:
        list(policy(server.url, concurrency=1, logprobs=True).sample(requests(2)))
    assert {"logprobs", "top_logprobs"} <= server.bodies[0].keys()
    assert not any({"logprobs", "top_logprobs"} & body.keys() for body in server.bodies[1:])


def test_what_determines_the_answers_is_not_dropped() -> None:
    message = "Unsupported value: 'temperature' does not support 0.2 with this model."
    script = without("temperature", message, parameter="temperature", code="unsupported_value")
    with serve(script) as server:
        with pytest.raises(PolicyError, match="'temperature' does not support"):
            list(policy(server.url, temperature=0.2).sample(requests(2)))
        assert len(list(policy(server.url, temperature=None).sample(requests(2)))) == 2


@pytest.mark.parametrize(
    ("endpoint", "logprobs", "total", "count"),
    [
        (
            "chat",
            {"content": [{"token": "x", "logprob": -0.5}, {"token": "y", "logprob": -1}]},
            -1.5,
            2,
        ),
        ("completions", {"token_logprobs": [None, -0.5, -2.0]}, -2.5, 2),
        ("chat", None, None, 0),
        ("chat", {"content": None}, None, 0),
    ],
)
def test_logprobs(endpoint: str, logprobs: Any, total: float | None, count: int) -> None:
    choice = {"message": {"content": "x"}, "text": "x", "logprobs": logprobs}
    with serve(Script(answer=lambda body, index: choice)) as server:
        tested = policy(server.url, endpoint=endpoint, logprobs=True)
        (sample,) = tested.sample(requests(1))
    assert sample.logprob == (None if total is None else pytest.approx(total))
    assert sample.logprob_tokens == count
    assert sample.self_certainty is None


def test_seeds_fit_any_server() -> None:
    with serve() as server:
        (wanted,) = requests(1)
        list(policy(server.url).sample([replace(wanted, seed=2**63 + 5)]))
    assert server.bodies[0]["seed"] == 5
