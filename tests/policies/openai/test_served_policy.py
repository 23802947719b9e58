"""A policy behind a server answers as it does itself."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from funprm.errors import PolicyError
from funprm.interfaces import Policy, Request, Sample
from tests.policies.openai.requests import policy, problem, requests
from tests.policies.openai.tiny_server import serve_policy

STYLES = ["statement", "plain", "chain_of_function"]


class Dice:
    """A policy whose programs depend on problem, prefix and seed alone."""

    batch = 8
    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False

    def identity(self) -> Mapping[str, Any]:
        return {"policy": "dice"}

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        for request in requests:
            dice = random.Random(f"{request.problem.key} {request.prefix} {request.seed}")
            lines = [f"x{index} = {dice.randrange(100)}\n" for index in range(dice.randrange(4))]
            yield Sample(
                key=request.key,
                code=request.prefix + "".join(lines),
                finish="length" if dice.random() < 0.2 else "stop" if lines else "empty",
                prompt_tokens=10 + len(request.prefix),
                completion_tokens=7 * len(lines),
                logprob=-dice.random(),
                logprob_tokens=1,  # the server gives one for the whole answer
            )


def answers(policy: Policy, wanted: Sequence[Request]) -> dict[str, Sample]:
    return {sample.key: replace(sample, text="", seconds=0.0) for sample in policy.sample(wanted)}


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("prefix", ["", "def f():\n    return 1\n\n\n"])
def test_equal_answers_for_equal_seeds(endpoint: str, style: str, prefix: str) -> None:
    wanted = requests(10, problems=3, prefix=prefix)
    problems = {request.problem.key: request.problem for request in wanted}.values()
    way = "prefill" if endpoint == "chat" else "completions"
    with serve_policy(Dice(), problems, style) as server:
        settings = {"endpoint": endpoint, "prompt": style, "continuation": way, "logprobs": True}
        assert answers(policy(server.url, **settings), wanted) == answers(Dice(), wanted)


def test_a_problem_that_the_server_does_not_know() -> None:
    with (
        serve_policy(Dice(), [problem("other")], "statement") as server,
        pytest.raises(PolicyError, match="unknown problem"),
    ):
        list(policy(server.url, prompt="statement").sample(requests(1)))
