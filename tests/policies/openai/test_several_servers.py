"""Several servers as one policy: problems are shared, the lost are stood in for, and come back."""

import logging
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from funprm.errors import ConfigError, PolicyError
from funprm.interfaces import Request
from funprm.policies.openai import transport
from funprm.testing.server import RefusalError, Script, Server, serve
from tests.policies.openai.requests import policy, requests


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.02)


@contextmanager
def unused_address() -> Iterator[str]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/v1"


def die(server: Server, running: ExitStack) -> None:
    """As a killed process: answers on their way are lost, then nobody listens."""
    server.script.fault = lambda call, attempt: "drop"
    running.close()


def servers_by_problem(*servers: Server) -> Mapping[str, set[int]]:
    """Which servers were asked for programs of each problem."""
    found: dict[str, set[int]] = defaultdict(set)
    for number, server in enumerate(servers):
        for body in server.bodies:
            found[body["messages"][-1]["content"]].add(number)
    return found


def delivered(*servers: Server) -> Counter[str]:
    return sum((server.delivered for server in servers), Counter())


def test_one_is_down_one_dies_one_is_slow() -> None:
    wanted = requests(8, problems=60)
    with unused_address() as down, serve(Script(seconds=0.05)) as slow, serve() as fast:
        with ExitStack() as running:
            dying = running.enter_context(serve())
            urls = [down, dying.url, slow.url, fast.url]
            tested = policy(urls, concurrency=4)
            samples = []
            for sample in tested.sample(wanted):
                samples.append(sample)
                if len(samples) == 100:
                    before = servers_by_problem(dying, slow, fast)
                    die(dying, running)
    # Nothing is lost, and nothing was delivered, hence paid, twice.
    assert Counter(sample.key for sample in samples) == Counter(r.key for r in wanted)
    assert set(delivered(dying, slow, fast).values()) == {1}
    codes = {sample.key: sample.code for sample in samples}
    assert all(codes[request.key] == f"print({request.seed}, 0)\n" for request in wanted)
    assert tested.stats().failed == 0
    assert tested.stats().moved > 0
    # A problem had one server, but for those that the lost one had begun.
    assert all(len(places) == 1 for places in before.values())
    for problem, places in servers_by_problem(dying, slow, fast).items():
        assert len(places - {0}) <= 1, problem
    assert 0 < slow.delivered.total() < fast.delivered.total()


def test_a_lost_server_is_used_again_when_it_is_back() -> None:
    wanted = requests(4, problems=100)
    with serve(Script(seconds=0.02)) as other, ExitStack() as later, ExitStack() as running:
        first = running.enter_context(serve())
        tested = policy([first.url, other.url], concurrency=2)
        again = first
        samples = []
        for sample in tested.sample(wanted):
            samples.append(sample)
            if len(samples) == 20:
                die(first, running)
            if len(samples) == 60:
                port = int(first.url.removesuffix("/v1").rpartition(":")[2])
                again = later.enter_context(serve(port=port))
    assert len({sample.key for sample in samples}) == len(samples) == len(wanted)
    assert again.delivered.total() > 10
    assert set(delivered(first, other, again).values()) == {1}


def test_what_is_lost_and_found_again_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with unused_address() as down, serve() as other:
        assert len(list(policy([down, other.url]).sample(requests(8)))) == 8
    (told,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert told.startswith(f"{down} does not answer (")
    assert "others take its requests until it does" in told


def test_a_server_that_fails_each_call_loses_its_requests() -> None:
    with serve(Script(fault=lambda call, attempt: "500")) as broken, serve() as sound:
        tested = policy([broken.url, sound.url], concurrency=2)
        assert len(list(tested.sample(requests(4, problems=10)))) == 40
    assert not broken.delivered
    assert tested.stats().failed == 0


def test_all_fail_and_the_policy_stops() -> None:
    with (
        serve(Script(fault=lambda call, attempt: "500")) as one,
        serve(Script(fault=lambda call, attempt: "500")) as two,
    ):
        tested = policy([one.url, two.url], retries=1, concurrency=4)
        with pytest.raises(PolicyError, match=r"unanswered.*HTTP 500"):
            list(tested.sample(requests(50)))


def test_none_is_there() -> None:
    with unused_address() as one, unused_address() as two:
        with pytest.raises(PolicyError) as caught:
            list(policy([one, two]).sample(requests(8)))
    assert one in str(caught.value)
    assert two in str(caught.value)
    assert "check base_url" in str(caught.value)


def test_a_wrong_model_on_one_of_them_is_an_error_that_names_it() -> None:
    def rule(path: str, body: object) -> None:
        raise RefusalError(404, "The model does not exist", "model_not_found")

    with serve() as right, serve(Script(rule=rule, models=("other",))) as wrong:
        with pytest.raises(PolicyError, match=f"{wrong.url} offers no model 'tiny'"):
            list(policy([right.url, wrong.url]).sample(requests(4, problems=40)))


def test_concurrency_is_that_of_each_server() -> None:
    barriers = threading.Barrier(3, timeout=30), threading.Barrier(3, timeout=30)

    def script(number: int) -> Script:
        def answer(body: Any, index: int) -> str:
            barriers[number].wait()
            return "print(1)"

        return Script(answer=answer)

    with serve(script(0)) as one, serve(script(1)) as two:
        tested = policy([one.url, two.url], concurrency=3, timeout=60.0)
        assert len(list(tested.sample(requests(12, problems=2)))) == 24
    assert (one.most_at_once, two.most_at_once) == (3, 3)
    assert one.delivered.total() == two.delivered.total() == 12


def test_each_server_continues_prefixes_in_its_own_way() -> None:
    def prefills(body: Mapping[str, Any], index: int) -> str:
        return "day" if "Thurs" in str(body) else "y = 2\n"

    def refuses(path: str, body: Mapping[str, Any]) -> None:
        if path.endswith("/chat/completions"):
            raise RefusalError(400, "unknown field continue_final_message")

    wanted: list[Request] = requests(6, problems=8, prefix="x = 1\n")
    with (
        serve(Script(answer=prefills, seconds=0.01)) as one,
        serve(Script(answer=lambda body, index: "y = 2\n", rule=refuses, seconds=0.01)) as two,
    ):
        tested = policy([one.url, two.url], concurrency=2)
        samples = list(tested.sample(wanted))
    assert {sample.code for sample in samples} == {"x = 1\ny = 2\n"}
    assert {body["path"] for body in one.bodies} == {"/v1/chat/completions"}
    assert [b["path"] for b in two.bodies if b["path"] == "/v1/chat/completions"] == [
        "/v1/chat/completions"
    ]
    assert min(one.delivered.total(), two.delivered.total()) > 6


def test_servers_that_give_fewer_answers_at_once() -> None:
    with serve(Script(choices=1)) as single, serve() as several:
        tested = policy([single.url, several.url], n_per_request=4)
        assert len({s.key for s in tested.sample(requests(8, problems=6))}) == 48
    assert max(delivered(single, several).values()) == 1


@pytest.mark.parametrize("urls", [[], ["http://a/v1", "http://a/v1/"]])
def test_lists_that_cannot_be_used(urls: list[str]) -> None:
    with pytest.raises(ConfigError, match="different ones"):
        policy(urls)


def test_adding_a_server_changes_no_identity() -> None:
    one, two = "http://a/v1", "http://b/v1"
    assert policy(one).identity() == policy([one, two]).identity()
