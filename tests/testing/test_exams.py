"""Our own parts pass their entry exams; parts that break a promise are told which."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from funprm.datasets.jsonl import JsonlDataset
from funprm.datasets.mini import MiniDataset
from funprm.errors import PolicyError
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job, Request, Sample
from funprm.policies.huggingface.policy import HuggingFacePolicy
from funprm.policies.openai.policy import OpenAIPolicy
from funprm.policies.replay import ReplayPolicy
from funprm.records import Case, Json, Problem, Status, Suite, Verdict
from funprm.testing import ScriptedPolicy, check_dataset, check_executor, check_policy
from funprm.testing.server import Script, first, serve

ADD = "def add(a, b):\n    return a + b\n"

# --- our own ---------------------------------------------------------------------------------


def test_scripted_policy() -> None:
    check_policy(ScriptedPolicy([ADD, "print(1)\n", ""]))


def test_huggingface_policy() -> None:
    check_policy(HuggingFacePolicy("tiny", max_tokens=8, device="cpu"), n=2)


def test_openai_policy() -> None:
    with serve(Script(fault=first("503"))) as server:
        check_policy(OpenAIPolicy("tiny", base_url=server.url, concurrency=2))


def test_replay_policy(tmp_path: Path) -> None:
    path = tmp_path / "programs.jsonl"
    path.write_text('{"problem_id": "p", "code": "a"}\n{"problem_id": "p", "code": "b"}\n')
    check_policy(ReplayPolicy(path=str(path)), [Problem.of("Add.", problem_id="p")], n=2)
    with pytest.raises(AssertionError, match="sample\\(\\) refused the requests: .*no program"):
        check_policy(ReplayPolicy(path=str(path)))


def test_datasets_of_ours(tmp_path: Path) -> None:
    check_dataset(MiniDataset(train=1, meta=1, validation=1, test=3))
    path = tmp_path / "problems.jsonl"
    path.write_text(
        '{"problem_id": "p", "statement": "x", "tests": [{"input": "", "output": "1"}]}'
    )
    check_dataset(JsonlDataset(path=str(path)))


def test_local_executor() -> None:
    with LocalExecutor(workers=1) as executor:
        check_executor(executor)


# --- policies that break promises ------------------------------------------------------------


class Answers(ScriptedPolicy):
    """Answers with what a function makes of a request."""

    def __init__(self, make: Callable[[Request], Sample | None], **attributes: Any) -> None:
        super().__init__([])
        self.make = make
        for name, value in attributes.items():
            setattr(self, name, value)

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        for request in requests:
            sample = self.make(request)
            if sample is not None:
                yield sample


def answer(request: Request, **fields: Any) -> Sample:
    code = fields.pop("code", "print(1)\n")
    kept = not request.prefix or code.startswith(request.prefix)
    return Sample(**{"key": request.key, "code": code, "kept": kept, **fields})


def counted() -> Callable[[Request], Sample]:
    count = iter(range(1000))
    return lambda request: answer(request, code=f"print({next(count)})")


OPEN = {"unanswered_is_final": False}


@pytest.mark.parametrize(
    ("make", "attributes", "message"),
    [
        (lambda r: answer(r, key="x"), {}, "has the key 'x', which no open request has"),
        (lambda r: None, {}, "no request got an answer"),
        (
            lambda r: None if r.index else answer(r),
            {"unanswered_is_final": False},
            "2 of 3 requests",
        ),
        (counted(), {}, "3 of 3 programs are others when asked for again"),
        (lambda r: answer(r, code=""), {}, "finish is 'stop' for the program ''"),
        (lambda r: answer(r, code=None), {}, "code is a NoneType"),
        (lambda r: answer(r, cost=-1.0), {}, "cost is -1.0"),
        (lambda r: answer(r, logprob=0.5), {}, "logprob is 0.5"),
        (lambda r: answer(r, kept=not r.prefix, code="a\nb"), {}, "kept is False"),
        (lambda r: answer(r, finish="step"), {}, "'step' where no steps were wanted"),
        (
            lambda r: answer(r, finish="step" if r.steps else "stop"),
            {},
            "one whole step and the line that opens the next were wanted",
        ),
        (lambda r: r.key, {}, "an answer is a str: expected interfaces.Sample"),
        (answer, {"batch": 0}, "batch is 0"),
        (answer, {"transport": {"device"}}, "transport names 'device', which is no argument"),
        (answer, {"whole_batches": None}, "whole_batches is None"),
        (answer, {"identity": lambda: {"x": {1}}}, "cannot be written as JSON"),
        (answer, {"identity": iter([{"x": 1}, {"x": 2}]).__next__}, "changes between calls"),
    ],
)
def test_policies_that_break_a_promise(make: Any, attributes: Any, message: str) -> None:
    with pytest.raises(AssertionError, match="breaks .* of its promises") as raised:
        check_policy(Answers(make, **attributes))
    assert message in str(raised.value)


def test_a_policy_that_is_told_by_what_it_is_asked_with() -> None:
    class Crowd(ScriptedPolicy):
        def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
            for request in requests:
                yield answer(request, code=f"print({len(requests)})")

    with pytest.raises(AssertionError, match="set whole_batches = True"):
        check_policy(Crowd([]))


def test_a_policy_that_collects_its_answers() -> None:
    class Collecting(ScriptedPolicy):
        def sample(self, requests: Sequence[Request]) -> Any:
            return [answer(request) for request in requests]

    with pytest.raises(AssertionError, match="returned no iterator"):
        check_policy(Collecting([]))


def test_a_policy_may_refuse_to_continue() -> None:
    def refusing(request: Request) -> Sample:
        if request.prefix:
            raise PolicyError("no")
        return answer(request)

    check_policy(Answers(refusing))


def test_a_server_without_seeds_may_be_excused() -> None:
    check_policy(Answers(counted()), repeatable=False)


# --- data sets that break promises -----------------------------------------------------------

SOUND = replace(
    Problem.of("Add.", entry_point="add", examples=[((1, 2), 3)], problem_id="a"), reference=ADD
)
STRANGE = Suite(kind="functional", cases=(Case(input="{", output="3"),), entry_point="add")


def with_fields(**fields: Any) -> Problem:
    """The sound problem with fields of any type."""
    return replace(SOUND, **fields)


class Given:
    """A data set of given problems."""

    def __init__(self, *calls: Sequence[Any]) -> None:
        self.calls = list(calls)

    def load(self) -> Iterable[Problem]:
        return self.calls.pop(0) if len(self.calls) > 1 else self.calls[0]


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ([[]], "load() gave no problem"),
        ([[SOUND], [SOUND, SOUND]], "gives other problems"),
        ([["a"]], "load() gave a str"),
        ([[SOUND, SOUND]], "two problems have the problem_id 'a'"),
        ([[replace(SOUND, key="")]], "a problem has an empty key"),
        ([[replace(SOUND, statement=" ")]], "'a': its statement is empty"),
        ([[with_fields(split="tests")]], "'a': it cannot be stored"),
        ([[replace(SOUND, hidden=STRANGE)]], "'a': its hidden tests: "),
        ([[replace(SOUND, reference="x = 1")]], "'a': its reference fails: hidden tests"),
        ([[with_fields(starter_code=5)]], "'a': it cannot be stored"),
    ],
)
def test_data_sets_that_break_a_promise(calls: Any, message: str) -> None:
    with pytest.raises(AssertionError, match="Given breaks") as raised:
        check_dataset(Given(*calls))
    assert message in str(raised.value)


def test_tests_that_a_stub_passes() -> None:
    problem = Problem.of("Nothing.", entry_point="f", examples=[((1,), None)])
    with pytest.raises(AssertionError, match="a program that does nothing passes its tests"):
        check_dataset(Given([problem]))
    check_dataset(Given([problem]), references=0)


# --- executors that break promises -----------------------------------------------------------


class Trusting:
    """Says of every program that it passes."""

    def identity(self) -> Mapping[str, Json]:
        return {}

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        for job in list(jobs):
            yield Verdict(key=job.key, status=Status.PASSED)

    def close(self) -> None:
        pass


def test_an_executor_that_trusts() -> None:
    with pytest.raises(AssertionError, match="Trusting breaks") as raised:
        check_executor(Trusting())
    for fault in (
        "an endless loop: passed (); expected time limit",
        "a wrong program: passed",
        "a test that is no JSON: passed (); expected not judged",
        "were read before the first verdict",
        "a program can read a file in this user's home",
        "expected two equal, and another",
    ):
        assert fault in str(raised.value)
