"""A search over an API that fails now and then: programs are cut, and nothing is paid twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from funprm.errors import PolicyError
from funprm.policies.openai.policy import OpenAIPolicy
from funprm.search.beam import Beam
from funprm.search.grower import Found, Grower
from funprm.search.records import Node
from funprm.store import RecordFile
from funprm.testing.server import Fault, Server, one_in
from tests.policies.openai.tiny_server import serve_policy
from tests.search.toy import PROBLEM, ToyPolicy, ToyScorer, bodies_of, program

FAULTS: tuple[Fault, ...] = ("500", "drop", "half", "malformed")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("funprm.policies.openai.transport.FIRST_PAUSE", 0.001)


@contextmanager
def served() -> Iterator[tuple[Server, OpenAIPolicy]]:
    with serve_policy(ToyPolicy(stops=False), [PROBLEM], "plain") as server:
        yield (
            server,
            OpenAIPolicy("tiny", base_url=server.url, prompt="plain", continuation="prefill"),
        )


def file(folder: Path) -> RecordFile[Node]:
    return RecordFile(folder / "nodes.jsonl", Node)


def grow(policy: OpenAIPolicy, folder: Path) -> Found:
    return Grower(policy, ToyScorer(), file=file(folder)).grow(Beam(n=12), [PROBLEM])[0]


def test_programs_are_cut_and_what_is_cut_off_is_counted(tmp_path: Path) -> None:
    with served() as (server, policy):
        found = grow(policy, tmp_path)
        assert found.spent.written == policy.stats().completion_tokens
        assert len(server.bodies) == len(found.tree)
    assert all(node.code == program(bodies_of(node.code)) for node in found.candidates)
    cut = [node for node in found.tree if node.finish == "step"]
    assert cut
    assert sum(node.completion_tokens for node in cut) > 2 * len(cut)


def test_a_faulty_server_changes_nothing(tmp_path: Path) -> None:
    with served() as (_, policy):
        whole = grow(policy, tmp_path)
    (tmp_path / "faulty").mkdir()
    with served() as (server, policy):
        server.script.fault = one_in(4, FAULTS)
        found = grow(policy, tmp_path / "faulty")
        assert server.attempts.total() > len(found.tree)
        assert set(server.delivered.values()) == {1}
    assert [node.code for node in found.tree] == [node.code for node in whole.tree]
    assert found.spent.written == whole.spent.written


def test_a_budget_that_is_used_up_loses_nothing(tmp_path: Path) -> None:
    """The policy's own budget; with a greater one the search goes on."""
    with served() as (server, policy):
        policy.budget_tokens, policy.max_tokens = 160, 8
        with pytest.raises(PolicyError, match="budget"):
            grow(policy, tmp_path)
        stored = {node.key: node for node in file(tmp_path)}
        assert stored
        assert len(stored) == server.delivered.total()
        policy.budget_tokens = 0
        found = grow(policy, tmp_path)
        assert server.delivered.total() == len(found.tree)
