from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from funprm.policies.openai.responses import has_usage, read_replies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=3,
)
NAMES = ("message", "text", "finish_reason", "logprobs", "content", "refusal", "logprob")
CHOICE = st.dictionaries(
    st.sampled_from(NAMES), JSON | st.dictionaries(st.sampled_from(NAMES), JSON | st.lists(JSON))
)
USAGE = st.dictionaries(
    st.sampled_from(("prompt_tokens", "completion_tokens", "total_tokens")), JSON
)

QUICK = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@QUICK
@given(st.lists(CHOICE, min_size=1, max_size=4), JSON | USAGE, st.integers(1, 5))
def test_any_answer_can_be_read(choices: list[Any], usage: Any, wanted: int) -> None:
    answer = {"choices": choices, "usage": usage}
    replies = read_replies(answer, wanted)
    assert len(replies) == min(wanted, len(choices))
    for reply in replies:
        reply.text.encode()
        assert reply.prompt_tokens >= 0
        assert reply.completion_tokens >= 0
    tokens = sum(reply.prompt_tokens + reply.completion_tokens for reply in replies)
    assert has_usage(answer) == (tokens > 0)


@QUICK
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.lists(st.text(), min_size=1, max_size=9))
def test_shares_add_up_to_the_usage(prompt: int, completion: int, texts: list[str]) -> None:
    answer = {
        "choices": [{"message": {"content": text}} for text in texts],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
    }
    replies = read_replies(answer, len(texts))
    assert sum(reply.prompt_tokens for reply in replies) == prompt
    assert sum(reply.completion_tokens for reply in replies) == completion


@pytest.mark.parametrize(
    ("usage", "completion"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60}, 50),
        ({"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 160}, 150),
        ({"prompt_tokens": 10, "completion_tokens": None}, 0),
        (None, 0),
    ],
)
def test_completion_tokens_include_hidden_reasoning(usage: Any, completion: int) -> None:
    (reply,) = read_replies({"choices": [{"text": "x"}], "usage": usage}, 1)
    assert reply.completion_tokens == completion
