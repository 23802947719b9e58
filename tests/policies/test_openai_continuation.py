"""Programs that begin with a prefix, from servers of all kinds; each answer is checked."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.errors import PolicyError
from funprm.policies import openai_transport
from funprm.policies.openai_continuation import read_program, splice
from funprm.testing.server import RefusalError, Script, serve
from tests.policies.openai_requests import policy, requests

PREFIX = 'import sys\n\n\ndef main():\n    """Solve."""\n    print(double(1))\n\n\n'
REST = "def double(x):\n    return 2 * x\n\n\nmain()\n"


class Model:
    """Answers as a model behind a server with these abilities would."""

    def __init__(self, *, prefill: bool, completions: bool, lax: bool = False) -> None:
        self.prefill = prefill
        self.completions = completions
        self.lax = lax  # ignores what it does not know instead of refusing it

    def rule(self, path: str, body: Mapping[str, Any]) -> None:
        if path == "/v1/completions" and not self.completions:
            raise RefusalError(404, "This is a chat model", "not_found")
        if not self.prefill and not self.lax and "continue_final_message" in body:
            raise RefusalError(400, "Unrecognized argument: continue_final_message")

    def answer(self, body: Mapping[str, Any], index: int) -> str:
        if "messages" not in body:
            return REST if body["prompt"].endswith(PREFIX) else "day"
        last = body["messages"][-1]
        continues = self.prefill and body.get("continue_final_message", False)
        if last["content"].endswith("Thurs"):
            return "day, Friday" if continues else "Thursday, Friday"
        if continues and last["content"] == "```python\n" + PREFIX:
            return REST + "```\nThat is it."
        return f"```python\n{PREFIX}{REST}```"

    def script(self) -> Script:
        return Script(answer=self.answer, rule=self.rule)


@pytest.mark.parametrize(
    ("model", "probes", "path", "marks"),
    [
        (Model(prefill=True, completions=True), 1, "chat/completions", {"continue_final_message"}),
        (Model(prefill=False, completions=True), 2, "completions", {"prompt"}),
        (Model(prefill=False, completions=True, lax=True), 2, "completions", {"prompt"}),
        (Model(prefill=False, completions=False), 2, "chat/completions", {"messages"}),
        (Model(prefill=False, completions=False, lax=True), 2, "chat/completions", {"messages"}),
    ],
)
def test_the_best_way_is_found_once(model: Model, probes: int, path: str, marks: set[str]) -> None:
    with serve(model.script()) as server:
        tested = policy(server.url)
        samples = list(tested.sample(requests(3, prefix=PREFIX)))
        samples += tested.sample(requests(1, problems=2, prefix=PREFIX)[1:])
    assert [sample.code for sample in samples] == [PREFIX + REST] * 4
    assert all(sample.kept for sample in samples)
    asked = server.bodies[probes:]
    assert len(asked) == 4  # nothing but the probes and one call for each
    assert all(body["path"] == f"/v1/{path}" and marks <= body.keys() for body in asked)
    assert all(body["max_tokens"] <= 4 for body in server.bodies[:probes])
    assert tested.stats().completion_tokens >= 5 * 4


def test_fresh_programs_need_no_probe() -> None:
    with serve() as server:
        list(policy(server.url).sample(requests(2)))
    assert len(server.bodies) == 2


@pytest.mark.parametrize("way", ["prefill", "completions", "instruction"])
def test_a_way_that_was_set_is_not_probed(way: str) -> None:
    with serve(Model(prefill=True, completions=True).script()) as server:
        (sample,) = policy(server.url, continuation=way).sample(requests(1, prefix=PREFIX))
    assert len(server.bodies) == 1
    assert (sample.code, sample.kept) == (PREFIX + REST, True)


def test_prefill_where_the_server_does_not_know_it() -> None:
    with serve(Model(prefill=False, completions=True).script()) as server:
        tested = policy(server.url, continuation="prefill")
        with pytest.raises(PolicyError, match=r"set continuation to 'completions'"):
            list(tested.sample(requests(1, prefix=PREFIX)))


def test_raw_models_continue_without_probe() -> None:
    with serve(Model(prefill=False, completions=True).script()) as server:
        tested = policy(server.url, endpoint="completions", prompt="statement")
        (sample,) = tested.sample(requests(1, prefix=PREFIX))
    (body,) = server.bodies
    assert body["prompt"] == f"Solve p0.\n{PREFIX}"
    assert "stop" not in body
    assert sample.code == PREFIX + REST


def test_the_instruction_shows_the_prefix() -> None:
    with serve(Model(prefill=False, completions=False).script()) as server:
        list(policy(server.url, continuation="instruction").sample(requests(1, prefix=PREFIX)))
    *_, message = server.bodies[0]["messages"]
    assert PREFIX.rstrip() in message["content"]
    assert "Keep it unchanged" in message["content"]


def test_a_changed_prefix_is_told_and_counted() -> None:
    changed = PREFIX.replace("Solve", "Solved") + REST
    with serve(Script(answer=lambda body, index: f"```python\n{changed}```")) as server:
        tested = policy(server.url, continuation="instruction")
        (sample,) = tested.sample(requests(1, prefix=PREFIX))
    assert (sample.code, sample.kept, sample.finish) == (changed, False, "stop")
    assert tested.stats().changed == 1


def test_an_empty_continuation_is_the_prefix() -> None:
    with serve(Script(answer=lambda body, index: "\n```")) as server:
        (sample,) = policy(server.url, continuation="prefill").sample(requests(1, prefix=PREFIX))
    assert sample.code.rstrip() == PREFIX.rstrip()
    assert sample.kept


def test_a_probe_without_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_transport, "FIRST_PAUSE", 0.01)
    with serve(Script(fault=lambda call, attempt: "500")) as server:
        tested = policy(server.url, retries=1)
        with pytest.raises(PolicyError, match="did not answer when asked how"):
            list(tested.sample(requests(1, prefix=PREFIX)))
        server.script.fault = lambda call, attempt: ""
        server.script.models = ("small",)
        server.script.rule = _no_model
        with pytest.raises(PolicyError, match="offers no model 'tiny'"):
            list(tested.sample(requests(1, prefix=PREFIX)))


def _no_model(path: str, body: object) -> None:
    raise RefusalError(404, "no such model")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (REST, PREFIX + REST),
        (REST + "```", PREFIX + REST),
        (REST + "```\nExample:\n```python\nmain()\n```", PREFIX + REST),
        ("def f(): pass```", PREFIX + "def f(): pass"),
        (PREFIX + REST, PREFIX + REST),  # the server repeats what it was given
        (f"```python\n{PREFIX}{REST}```", PREFIX + REST),  # the model starts again
        ("", PREFIX),
    ],
)
def test_continuations(text: str, code: str) -> None:
    program = read_program(text, PREFIX, "prefill")
    assert (program.code, program.kept) == (code, True)


def test_a_model_that_starts_again_with_something_else() -> None:
    program = read_program("```python\nprint(1)\n```", PREFIX, "prefill")
    assert (program.code, program.kept) == ("print(1)\n", False)


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        (PREFIX + REST, True),
        (PREFIX.replace("\n\n\n", "\n\n") + REST, True),
        ("\n" + PREFIX + REST, True),
        (PREFIX.replace("\n", " \n") + REST, True),
        ((PREFIX + REST).replace("\n", "\r\n"), True),
        (PREFIX.rstrip(), True),
        (PREFIX.replace("    ", "  ") + REST, False),
        (PREFIX.replace("double", "twice") + REST, False),
        ("import os\n" + PREFIX + REST, False),
        ("import sys\n", False),
        (REST, False),
        ("", False),
    ],
)
def test_splice(code: str, kept: bool) -> None:
    whole = splice(PREFIX, code)
    assert bool(whole) == kept
    if kept:
        assert whole.startswith(PREFIX)
        compile(whole.replace("\r\n", "\n"), "whole", "exec")


def test_only_line_ends_of_python_end_a_line_of_a_prefix() -> None:
    prefix = 'MARK = "a \u2028b"\n'
    assert splice(prefix, prefix.replace("a ", "a") + REST) == "", "another text in the string"
    assert splice(prefix, "\r\n" + prefix + REST) == prefix + REST


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text("ab \n\t\r"), st.text("ab \n\t\r"))
def test_splice_begins_with_the_prefix_or_is_empty(prefix: str, code: str) -> None:
    whole = splice(prefix, code)
    assert whole == "" or whole.startswith(prefix)
    assert splice(prefix, prefix + code) == prefix + code
