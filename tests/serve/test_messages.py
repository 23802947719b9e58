"""Anthropic's own client drives best-of-N."""

from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import pytest

from funprm.serve.settings import ServeSettings
from funprm.testing.server import Server
from tests.serve.world import ADD, GOOD, TESTS, Served, adding, fenced, served

CALL = {"entry_point": "add", "tests": TESTS, "budget": 6}
ASKED: dict[str, Any] = {
    "model": "tiny",
    "max_tokens": 512,
    "messages": [{"role": "user", "content": [{"type": "text", "text": ADD}]}],
}


def by_chance(body: Mapping[str, Any], index: int) -> str:
    """Good ones and bad ones, in turn."""
    return adding({"seed": next(_NUMBERS)}, index)


_NUMBERS = iter(range(10**6))


@pytest.fixture
def client(server: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as found:
        yield found


def test_an_answer(client: anthropic.Anthropic, upstream: Server) -> None:
    upstream.script.answer = by_chance
    answer = client.messages.create(**ASKED, system="Be brief.", extra_body=CALL)
    assert answer.content[0].text == fenced(GOOD)
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (60, 30)
    assert upstream.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert upstream.bodies[0]["max_tokens"] == 512


def test_a_stream(client: anthropic.Anthropic, upstream: Server) -> None:
    upstream.script.answer = by_chance
    with client.messages.stream(**ASKED, extra_body=CALL) as stream:
        assert "".join(stream.text_stream) == fenced(GOOD)
        whole = stream.get_final_message()
    assert whole.usage.output_tokens == 30
    assert whole.stop_reason == "end_turn"


def test_a_slow_stream(fake: Server, upstream: Server) -> None:
    """Signs of life before the first event disturb nobody."""
    upstream.script.answer = by_chance
    upstream.script.seconds = 0.3
    settings = ServeSettings(keep_alive=0.05)
    with (
        served(upstream=fake.url, settings=settings) as slow,
        anthropic.Anthropic(base_url=slow.url, api_key="none", max_retries=0) as client,
        client.messages.stream(**ASKED, extra_body=CALL) as stream,
    ):
        assert stream.get_final_text() == fenced(GOOD)


def test_errors(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="at most 64") as caught:
        client.messages.create(**ASKED, extra_body={"budget": 10_000})
    assert caught.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]
