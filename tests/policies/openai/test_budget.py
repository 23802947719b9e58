import threading
from typing import Any

import pytest

from funprm.errors import PolicyError
from funprm.interfaces import Sample
from funprm.policies.openai.policy import OpenAIPolicy
from funprm.testing.server import Script, serve
from tests.policies.openai.requests import policy, requests


def spend(tested: OpenAIPolicy, count: int = 200) -> tuple[list[Sample], str]:
    """What arrived before the policy stopped, and the line that it stopped with."""
    samples: list[Sample] = []
    with pytest.raises(PolicyError) as caught:
        samples.extend(tested.sample(requests(count)))
    assert "\n" not in str(caught.value)
    return samples, str(caught.value)


@pytest.mark.parametrize("together", [1, 4])
def test_tokens(together: int) -> None:
    with serve() as server:
        tested = policy(server.url, budget_tokens=300, concurrency=8, n_per_request=together)
        samples, line = spend(tested)
    tokens = sum(sample.prompt_tokens + sample.completion_tokens for sample in samples)
    assert 270 <= tokens <= 330
    assert tokens == tested.stats().prompt_tokens + tested.stats().completion_tokens
    assert line.startswith("the budget of 300 tokens is used up")
    assert sum(server.delivered.values()) == server.attempts.total()  # all that was paid arrived
    assert len(samples) == sum(body.get("n", 1) for body in server.bodies)


def test_money() -> None:
    prices = {"price_input": 1e4, "price_output": 2e4}  # 0.2 for each answer
    with serve() as server:
        samples, line = spend(policy(server.url, budget_cost=5.0, **prices))
    assert sum(sample.cost for sample in samples) == pytest.approx(5.0)
    assert line.startswith("the budget of a cost of 5 is used up")


def test_the_budget_holds_over_calls_of_sample() -> None:
    with serve() as server:
        tested = policy(server.url, budget_tokens=200)
        assert len(list(tested.sample(requests(10)))) == 10
        samples, _ = spend(tested)
    assert 2 <= len(samples) <= 5


def test_a_wide_budget_lets_calls_run_together() -> None:
    eight = threading.Event()

    def answer(body: Any, index: int) -> str:
        """The first call is alone; others wait until eight are there."""
        if server.most_at_once == 8:
            eight.set()
        if len(server.bodies) > 1:
            eight.wait(30)
        return "print(1)"

    with serve(Script(answer=answer)) as server:
        tested = policy(server.url, budget_tokens=1_000_000, concurrency=8, timeout=60.0)
        assert len(list(tested.sample(requests(32)))) == 32
    assert server.most_at_once == 8


def test_without_usage_no_budget_can_be_kept() -> None:
    with serve(Script(usage=False)) as server:
        samples, line = spend(policy(server.url, budget_tokens=1_000_000, concurrency=2))
        assert 1 <= len(samples) <= 2
        assert "reports no usage" in line
        assert len(list(policy(server.url).sample(requests(3)))) == 3


def test_hidden_reasoning_counts() -> None:
    """Some servers report it in the total only."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}
    answer = {"message": {"content": "x"}}
    with serve(Script(answer=lambda body, index: answer)) as server:
        server.script.extra = {"usage": usage}
        (sample,) = policy(server.url).sample(requests(1))
    assert sample.completion_tokens == 105
