"""OpenAI's own client drives best-of-N."""

import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx
import openai
import pytest

from funprm import registry
from funprm.commands.one_problem import ProcessRewardModel
from funprm.interfaces import Request, Sample
from funprm.records import Problem
from funprm.serve.settings import ServeSettings
from funprm.testing.server import RefusalError, Server, first
from tests.serve.world import ADD, BAD, ENDLESS, GOOD, TESTS, Served, adding, fenced, served, until

MESSAGES: list[Any] = [{"role": "user", "content": ADD}]
CALL = {"entry_point": "add", "tests": TESTS}


@pytest.fixture
def client(server: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as found:
        yield found


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    extra = fields.pop("extra", CALL)
    return client.chat.completions.create(
        model="tiny", messages=MESSAGES, extra_body=extra, **fields
    )


def test_tests_choose(client: openai.OpenAI, upstream: Server) -> None:
    upstream.script.answer = adding
    answer = ask(client, seed=4, temperature=0.5, extra={**CALL, "budget": 6})
    assert answer.choices[0].message.content == fenced(GOOD)
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (60, 30)
    assert answer.metadata["selector"] == "public_tests+score"
    told = answer.metadata["candidates"]
    assert [row["index"] for row in told] == list(range(6))
    assert {row["tests"] for row in told} == {0.5, 1.0}
    assert [row["chosen"] for row in told].count(True) == 1
    assert all(body["temperature"] == 0.5 and "tests" not in body for body in upstream.bodies)
    assert len({body["seed"] for body in upstream.bodies}) == 6


def test_scores_are_those_of_the_library(client: openai.OpenAI, upstream: Server, prm: str) -> None:
    upstream.script.answer = adding
    answer = ask(client, seed=4, extra={"budget": 4})
    good, bad = (s.score or 0 for s in ProcessRewardModel(prm).score(Problem.of(ADD), [GOOD, BAD]))
    found = sorted({row["score"] for row in answer.metadata["candidates"]})
    assert found == pytest.approx(sorted([good, bad]), abs=1e-6)
    assert answer.choices[0].message.content == fenced(GOOD if good > bad else BAD)


def test_n_are_the_best(client: openai.OpenAI, upstream: Server) -> None:
    upstream.script.answer = adding
    answer = ask(client, n=3, seed=4, extra={**CALL, "budget": 6})
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.choices[0].message.content == fenced(GOOD)
    good = sum(row["tests"] == 1 for row in answer.metadata["candidates"])
    texts = [choice.message.content for choice in answer.choices]
    assert texts.count(fenced(GOOD)) == min(3, good)


def test_a_stream_is_the_chosen_answer(client: openai.OpenAI, upstream: Server) -> None:
    upstream.script.answer = adding
    stream = ask(client, seed=4, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == fenced(GOOD)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 8 * 15
    assert chunks[-2].metadata["selector"] == "public_tests+score"


def test_a_stream_shows_signs_of_life(fake: Server, upstream: Server) -> None:
    upstream.script.seconds = 0.3
    body = {"model": "tiny", "messages": MESSAGES, "stream": True, "budget": 1}
    settings = ServeSettings(keep_alive=0.05)
    with (
        served(upstream=fake.url, settings=settings) as server,
        httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body) as response,
    ):
        text = response.read().decode()
    assert text.startswith(": waiting\n\n")
    assert text.endswith("data: [DONE]\n\n")


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny", "small"]


def test_errors_are_those_of_the_protocol(client: openai.OpenAI, upstream: Server) -> None:
    with pytest.raises(openai.BadRequestError, match="at most 64") as caught:
        ask(client, extra={"budget": 10_000})
    assert caught.value.code == "too_many_programs"
    with pytest.raises(openai.BadRequestError, match="samples at most 64"):
        ask(client, n=10_000)
    with pytest.raises(openai.BadRequestError, match="more than the budget"):
        ask(client, n=5, extra={"budget": 4})
    with pytest.raises(openai.BadRequestError, match="unknown selector"):
        ask(client, extra={"selector": "best"})
    with pytest.raises(openai.BadRequestError, match="needs `tests`"):
        ask(client, extra={"selector": "public_tests+score"})
    with pytest.raises(openai.BadRequestError, match="tools is not supported"):
        ask(client, tools=[{"type": "function", "function": {"name": "f"}}])
    with pytest.raises(openai.BadRequestError, match="list of arguments"):
        ask(client, extra={"entry_point": "add", "tests": [{"input": 1, "output": 2}]})
    assert not upstream.bodies  # nothing was paid


def test_refusals_of_the_upstream_go_on(client: openai.OpenAI, upstream: Server) -> None:
    def rule(path: str, body: object) -> None:
        raise RefusalError(404, "The model does not exist", "model_not_found")

    upstream.script.rule = rule
    with pytest.raises(openai.NotFoundError, match="does not exist") as caught:
        ask(client)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.APIError, match="does not exist"):
        list(ask(client, stream=True))


def test_what_is_missing_is_told(client: openai.OpenAI, upstream: Server) -> None:
    upstream.script.answer = adding
    broken = iter([True, False])

    def rule(path: str, body: object) -> None:
        if next(broken, False):
            raise RefusalError(400, "no")

    upstream.script.rule = rule
    answer = ask(client, seed=1, extra={"budget": 3})
    assert len(answer.metadata["candidates"]) == 2
    assert answer.metadata["failures"] == ["HTTP 400: no"]


def test_faults_of_the_upstream_are_repeated(client: openai.OpenAI, upstream: Server) -> None:
    upstream.script.fault = first("500")
    assert len(ask(client, extra={"budget": 2}).metadata["candidates"]) == 2


def test_an_endless_program_harms_nobody(client: openai.OpenAI, upstream: Server) -> None:
    upstream.script.answer = lambda body, index: fenced(ENDLESS if body["seed"] % 2 else GOOD)
    answers = []
    others = threading.Thread(
        target=lambda: answers.append(ask(client, seed=1, extra={"budget": 1}))
    )
    others.start()
    answer = ask(client, seed=4, extra={**CALL, "seconds": 1, "budget": 4})
    others.join()
    assert answer.choices[0].message.content == fenced(GOOD)
    assert len(answers) == 1


def test_a_server_without_an_upstream_says_so() -> None:
    with served() as server:
        answer = server.post("/v1/chat/completions", {"model": "m", "messages": MESSAGES})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "no_upstream"


def test_a_policy_in_this_process(prm: str) -> None:
    others = {"policy.name": "huggingface", "policy.batch": 4}
    with served(prm=prm, others=others) as server:
        names = [model["id"] for model in server.get("/v1/models").json()["data"]]
        body = {"model": names[0], "messages": MESSAGES, "budget": 3, **CALL}
        answer = server.post("/v1/chat/completions", {**body, "seed": 1})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["metadata"]["candidates"]) == 3
        assert answer.json()["usage"]["completion_tokens"] > 0
        again = server.post("/v1/chat/completions", {**body, "seed": 1})
        assert again.json()["choices"] == answer.json()["choices"]
        assert server.post("/v1/chat/completions", {**body, "model": "x"}).status_code == 404


@dataclass
class Refactoring:
    """A policy of two chats: a program, and a better form of it; every second one is broken."""

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False
    chats: ClassVar[int] = 2

    batch: int = 8

    def identity(self) -> dict[str, str]:
        return {}

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        for request in requests:
            better = BAD if request.index % 2 else f"{GOOD}# better\n"
            code = better if request.drafts else GOOD
            yield Sample(key=request.key, code=code, prompt_tokens=2, completion_tokens=3)


def test_a_prompt_of_several_chats_is_led_through_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a run does it: clients do not get first drafts where a better form passes the tests."""
    known = registry.component
    monkeypatch.setattr(
        registry,
        "component",
        lambda group, name: Refactoring if name == "me" else known(group, name),
    )
    body = {"model": "me", "messages": MESSAGES, "n": 2, "budget": 2, **CALL}
    with served(others={"policy.name": "me"}) as server:
        answer = server.post("/v1/chat/completions", body).json()
    texts = {choice["message"]["content"] for choice in answer["choices"]}
    assert texts == {f"{GOOD}# better\n", GOOD}
    assert [answer["usage"][name] for name in ("prompt_tokens", "completion_tokens")] == [8, 12]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_calls(stream: bool) -> None:
    """An upstream that never answers sees its connections closed."""
    closed: list[socket.socket] = []

    def accept(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            threading.Thread(target=until_closed, args=(connection,)).start()

    def until_closed(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                pass
        closed.append(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, args=(listener,))
        accepting.start()
        port = listener.getsockname()[1]
        with served(upstream=f"http://127.0.0.1:{port}/v1") as server:
            body = {"model": "m", "messages": MESSAGES, "budget": 2, "stream": stream}
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=1)
            accepting.join()
            until(lambda: len(closed) == 2)
            until(lambda: not server.services.busy)
