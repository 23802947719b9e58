"""Errors of the whole policy are one line that says what to do; the key is in none of them."""

import dataclasses
import logging
import socket
import traceback
from dataclasses import replace

import pytest

from funprm.errors import PolicyError
from funprm.policies import openai_transport
from funprm.policies.openai_api import OpenAIPolicy
from funprm.testing.server import RefusalError, Script, first, serve
from tests.policies.openai_requests import policy, requests

KEY = "sk-0123456789abcdef"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setattr(openai_transport, "FIRST_PAUSE", 0.02)


def refuse(status: int, message: str, code: str = "", parameter: str = "") -> Script:
    def rule(path: str, body: object) -> None:
        raise RefusalError(status, message, code, parameter)

    return Script(rule=rule)


def failure(tested: OpenAIPolicy, count: int = 20) -> str:
    with pytest.raises(PolicyError) as caught:
        list(tested.sample(requests(count)))
    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in whole.stack if "/funprm/" in frame.filename]
    assert KEY not in repr([frame.locals for frame in ours])
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(caught.value.__context__)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_right_key_is_sent() -> None:
    with serve(Script(key=KEY)) as server:
        assert len(list(policy(server.url, api_key_env="TEST_KEY").sample(requests(2)))) == 2


def test_wrong_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Script(key="another")) as server:
        line = failure(policy(server.url, api_key_env="TEST_KEY", concurrency=2))
        assert "TEST_KEY holds a key that it refuses" in line
        assert server.attempts.total() <= 2
        monkeypatch.delenv("TEST_KEY")
        assert "TEST_KEY is not set" in failure(policy(server.url, api_key_env="TEST_KEY"))


@pytest.mark.parametrize("value", [f"{KEY} {KEY}", f"{KEY}é", f"{KEY}\n{KEY}"])
def test_a_value_that_can_be_no_key_is_not_shown(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", value)
    assert "TEST_KEY holds no key" in failure(OpenAIPolicy("m", api_key_env="TEST_KEY"))


def test_a_line_end_after_the_key_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", f"{KEY}\n")
    with serve(Script(key=KEY)) as server:
        assert len(list(policy(server.url, api_key_env="TEST_KEY").sample(requests(1)))) == 1


def test_unknown_model() -> None:
    with serve(refuse(404, "The model does not exist", "model_not_found")) as server:
        line = failure(policy(server.url, model="tin"))
        assert line.endswith("offers no model 'tin': did you mean 'tiny'?")
        server.script.models = tuple(f"model-{number}" for number in range(20))
        assert "known are: model-0, " in (line := failure(policy(server.url, model="x")))
        assert line.endswith(" and 12 more")
        server.script.models = ()
        assert "check model='tin' and base_url" in failure(policy(server.url, model="tin"))
        server.script.models = ("tin",)
        assert "but not this way" in failure(policy(server.url, model="tin"))


def test_unknown_model_refused_as_a_bad_request() -> None:
    with serve(refuse(400, "Invalid model: tin")) as server:
        assert "did you mean 'tiny'?" in failure(policy(server.url, model="tin"))
        server.script.models = ("tin",)
        assert "HTTP 400: Invalid model: tin" in failure(policy(server.url, model="tin"))


def test_a_server_that_is_bound_to_another_model() -> None:
    with serve(refuse(400, "Server is pinned to 'tiny'; requested 'tin'.")) as server:
        assert "did you mean 'tiny'?" in failure(policy(server.url, model="tin"))


def test_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        line = failure(policy(url))
    assert line.startswith(f"no connection to {url}")


def test_a_server_that_restarts_is_waited_for() -> None:
    with serve(Script(fault=first("drop", 4))) as server:
        assert len(list(policy(server.url).sample(requests(2)))) == 2


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (refuse(400, "temperature must be at most 2"), "HTTP 400: temperature must be at most 2"),
        (refuse(402, "no credit"), "wants payment"),
        (refuse(403, "not in your country"), "not in your country"),
        (refuse(429, "You exceeded your quota", "insufficient_quota"), "no quota left"),
        (refuse(301, "moved"), "base_url must be the address"),
        (refuse(400, f"the key {KEY} is odd\nvery odd"), "the key *** is odd very odd"),
        (refuse(422, "x" * 1000), "xxx…"),
    ],
)
def test_refusals_of_the_server(script: Script, message: str) -> None:
    with serve(script) as server:
        assert message in failure(policy(server.url, api_key_env="TEST_KEY"))
    assert server.attempts.total() <= 40  # nothing is repeated


def test_a_refusal_of_a_few_requests_leaves_them_out() -> None:
    def rule(path: str, body: dict[str, int]) -> None:
        if body["seed"] == 3:
            raise RefusalError(400, "I do not like this one")

    with serve(Script(rule=rule)) as server:  # type: ignore[arg-type]
        tested = policy(server.url)
        assert len(list(tested.sample(requests(8)))) == 7
    assert tested.stats().failed == 1


@pytest.mark.parametrize("prefix", ["", "x = 1\n"])
def test_an_answer_gets_the_room_that_is_left(prefix: str) -> None:
    room = 100

    def rule(path: str, body: dict[str, int]) -> None:
        if body["max_tokens"] > room:
            raise RefusalError(400, "This model's maximum context length is 4096 tokens.")

    with serve(Script(rule=rule)) as server:  # type: ignore[arg-type]
        tested = policy(server.url, max_tokens=1000, continuation="completions")
        (sample,) = tested.sample(requests(1, prefix=prefix))
        assert sample.finish == "stop"
        assert [body["max_tokens"] for body in server.bodies] == [1000, 500, 250, 125, 62]
        room = 0
        (sample,) = tested.sample(requests(1, prefix=prefix))
    assert (sample.finish, sample.code, sample.kept) == ("length", prefix, True)
    assert server.bodies[-1]["max_tokens"] >= 16
    assert tested.stats().cut_off == 1


def test_the_key_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(Script(key=KEY, fault=first("500"))) as server:
        tested = policy(server.url, api_key_env="TEST_KEY")
        samples = list(tested.sample(requests(3)))
    seen = [repr(tested), repr(vars(tested)), repr(dataclasses.asdict(tested)), caplog.text]
    seen += [repr(tested.identity()), repr(tested.stats()), *map(repr, samples)]
    assert all(header["Authorization"].endswith(KEY) for header in server.headers)
    assert not any(KEY in text for text in seen)


@pytest.mark.parametrize(
    ("choice", "finish"),
    [
        ({"message": {"content": None, "refusal": "I can't"}}, "refused"),
        ({"message": {"content": "x = 1"}, "finish_reason": "content_filter"}, "refused"),
        ({"message": {"content": ""}}, "empty"),
        ({"message": {"content": None}}, "empty"),
        ({"message": {"content": "x = 1"}, "finish_reason": "length"}, "length"),
        ({"message": {"content": "<think> hm"}, "finish_reason": "length"}, "length"),
        ({"message": {"content": [{"type": "text", "text": "x = 1"}]}}, "stop"),
    ],
)
def test_final_failures_of_one_request_are_samples(choice: object, finish: str) -> None:
    with serve(Script(answer=lambda body, index: choice)) as server:
        tested = policy(server.url)
        (sample,) = tested.sample(requests(1))
    assert sample.finish == finish
    assert sample.code in ("", "x = 1")
    stats = tested.stats()
    counted = {"refused": stats.refusals, "empty": stats.empty, "length": stats.cut_off}
    assert counted.get(finish, 1) == 1


def test_a_refused_continuation_says_nothing_about_the_prefix() -> None:
    choice = {"message": {"content": "", "refusal": "No."}}
    with serve(Script(answer=lambda body, index: choice)) as server:
        tested = policy(server.url, continuation="prefill")
        (sample,) = tested.sample(requests(1, prefix="x = 1\n"))
    assert (sample.finish, sample.kept) == ("refused", False)


def test_text_that_is_no_unicode_travels_both_ways() -> None:
    (wanted,) = requests(1)
    odd = replace(wanted, problem=replace(wanted.problem, statement="a \ud800 b"))
    with serve(Script(answer=lambda body, index: "x = '\ud800'")) as server:
        (sample,) = policy(server.url).sample([odd])
    assert "a \ud800 b" in server.bodies[0]["messages"][-1]["content"]
    assert sample.code == "x = '?'"


def test_a_content_filter_that_refuses_the_prompt() -> None:
    with serve(refuse(400, "flagged", "content_filter")) as server:
        tested = policy(server.url)
        (sample,) = tested.sample(requests(1))
    assert (sample.finish, sample.code) == ("refused", "")
    assert tested.stats().refusals == 1
