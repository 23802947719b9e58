"""What servers and networks do: nothing is lost, nothing is paid twice."""

import email.utils
import threading
import time
from collections import Counter

import pytest

from funprm.errors import PolicyError
from funprm.interfaces import Sample
from funprm.policies.openai import transport
from funprm.policies.openai.health import retry_after
from funprm.testing.server import FAULTS, Fault, Script, Server, first, one_in, serve
from tests.policies.openai.requests import policy, requests


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.02)


def test_two_thousand_requests_with_one_fault_in_twenty() -> None:
    wanted = requests(100, problems=20)
    with serve(Script(fault=one_in(20))) as server:
        tested = policy(server.url, timeout=4.0)
        samples = list(tested.sample(wanted))
    assert Counter(sample.key for sample in samples) == Counter(r.key for r in wanted)
    by_key = {sample.key: sample for sample in samples}
    assert all(by_key[request.key].code == f"print({request.seed}, 0)\n" for request in wanted)
    # Each call was delivered once: what was repeated had not been delivered.
    assert len(server.delivered) == 2000
    assert set(server.delivered.values()) == {1}
    stats = tested.stats()
    assert stats.completion_tokens == 5 * 2000
    assert stats.requests == server.attempts.total() == 2000 + stats.retries
    assert stats.retries > 50
    assert stats.failed == 0


@pytest.mark.parametrize("fault", [*FAULTS, "429 bare"])
def test_each_fault_is_survived(fault: Fault) -> None:
    # Only what never answers needs a short limit; a busy machine must not make others late.
    limit = 2.0 if fault in ("hang", "drip") else 60.0
    with serve(Script(fault=first(fault, 2))) as server:
        tested = policy(server.url, timeout=limit)
        samples = list(tested.sample(requests(3)))
    assert len(samples) == 3
    assert set(server.delivered.values()) == {1}
    assert tested.stats().retries == (0 if fault == "slow" else 6)
    assert tested.stats().rate_limited == (6 if fault.startswith("429") else 0)


def test_a_rate_limit_holds_back_all_calls() -> None:
    calls: list[float] = []

    def fault(call: str, attempt: int) -> Fault:
        calls.append(time.monotonic())
        return "429" if len(calls) == 1 else ""

    with serve(Script(fault=fault)) as server:
        list(policy(server.url, concurrency=1).sample(requests(3)))
    assert calls[1] - calls[0] >= 0.02


def test_a_call_that_always_fails_is_left_out() -> None:
    wanted = requests(6)
    unlucky = wanted[2]

    def fault(call: str, attempt: int) -> Fault:
        bodies = [body for body in server.bodies if body["seed"] == unlucky.seed]
        return "500" if len(bodies) > attempt and _names(server, call, unlucky.seed) else ""

    with serve(Script(fault=fault)) as server:
        tested = policy(server.url, retries=2)
        samples = list(tested.sample(wanted))
        assert {s.key for s in samples} == {r.key for r in wanted} - {unlucky.key}
        assert tested.stats().failed == 1
        assert tested.stats().retries == 2
        server.script.fault = lambda call, attempt: ""
        (late,) = tested.sample([unlucky])
        assert late.key == unlucky.key


def _names(server: Server, call: str, seed: int) -> bool:
    """Whether the call with this name carries the seed."""
    return any(
        headers["Idempotency-Key"] == call and body["seed"] == seed
        for headers, body in zip(list(server.headers), list(server.bodies), strict=False)
    )


def test_mostly_failures_stop_the_policy() -> None:
    with serve(Script(fault=lambda call, attempt: "500")) as server:
        tested = policy(server.url, retries=1, concurrency=4)
        with pytest.raises(PolicyError, match=r"unanswered.*HTTP 500: busy.*2 attempts") as caught:
            list(tested.sample(requests(100)))
    assert server.attempts.total() <= 2 * (8 + 4)
    assert "\n" not in str(caught.value)


def test_failures_after_many_answers_stop_the_policy_as_soon() -> None:
    def fault(call: str, attempt: int) -> Fault:
        return "500" if server.delivered.total() >= 300 else ""

    with serve(Script(fault=fault)) as server:
        tested = policy(server.url, retries=0, concurrency=4)
        with pytest.raises(PolicyError, match="unanswered"):
            list(tested.sample(requests(100, problems=10)))
    assert server.attempts.total() <= 300 + 64 + 4


def test_a_long_wait_ends_the_policy() -> None:
    def fault(call: str, attempt: int) -> Fault:
        return "429"

    with serve(Script(fault=fault)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "LONGEST_WAIT", 0.01)
        with pytest.raises(PolicyError, match="asks to wait"):
            list(policy(server.url).sample(requests(2)))


def test_the_same_call_has_the_same_name_in_each_attempt() -> None:
    with serve(Script(fault=first("500", 3))) as server:
        list(policy(server.url).sample(requests(2)))
    assert sorted(server.attempts.values()) == [4, 4]


def test_closing_early_cancels_calls_and_ends_threads() -> None:
    before = threading.active_count()
    with serve(Script(seconds=0.0)) as server:
        stream = policy(server.url, concurrency=4).sample(requests(40))
        next(stream)
        server.script.seconds = 60.0
        started = time.monotonic()
        stream.close()  # type: ignore[attr-defined]
        assert time.monotonic() - started < 30, "no answer is waited for"
        assert not any(thread.name == "funprm-api" for thread in threading.enumerate())
    assert threading.active_count() <= before + 8  # the server's own may take a moment


def test_what_arrived_before_closing_is_not_asked_again() -> None:
    wanted = requests(20)
    with serve() as server:
        tested = policy(server.url, concurrency=4)
        stream = tested.sample(wanted)
        got: list[Sample] = [next(stream)]
        deadline = time.monotonic() + 60
        while server.delivered.total() < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        assert server.attempts.total() == 4  # no more calls than answers that can be lost
        stream.close()  # type: ignore[attr-defined]
        got += tested.sample([request for request in wanted if request.key != got[0].key])
    assert {sample.key for sample in got} == {request.key for request in wanted}
    assert len(got) == 20
    assert set(server.delivered.values()) == {1}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": email.utils.formatdate(1_000_060, usegmt=True)}, 60.0),
        ({"retry-after": email.utils.formatdate(999_000, usegmt=True)}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=1_000_000.0) == seconds
