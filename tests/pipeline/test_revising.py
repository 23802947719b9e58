"""Prompts of several chats: what is asked, and which program counts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from funprm.interfaces import Executor, Job, Policy, Request, Sample
from funprm.pipeline.revising import revising
from funprm.records import Generation, Json, Problem, Status, Verdict
from funprm.store import RecordFile

PLAIN = "right\n"

Answer = Callable[["Model", Request], Sample]
Drafts = RecordFile[Generation]


@dataclass(eq=False)
class Model:
    """Answers a draft, then what `rewritten` says."""

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False
    rewritten: Sample = field(default_factory=lambda: Sample(key="", code="right and better\n"))
    draft: str = PLAIN
    chats: int = 2
    batch: int = 8
    asked: list[Request] = field(default_factory=list)
    patience: int = 1000
    """How many requests are answered before something goes wrong."""
    on_tokens: object = None

    def identity(self) -> Mapping[str, Json]:
        return {"model": "fake"}

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        for request in requests:
            if len(self.asked) == self.patience:
                raise KeyboardInterrupt
            self.asked.append(request)
            sample = self.rewritten if request.drafts else Sample(key="", code=self.draft)
            yield Sample(
                key=request.key,
                code=sample.code,
                finish=sample.finish,
                prompt_tokens=10,
                completion_tokens=3,
                cost=0.5,
                logprob=-1.0 - len(request.drafts),
            )


class Judge:
    """Programs pass that say `right`."""

    def identity(self) -> Mapping[str, Json]:
        return {}

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        for job in jobs:
            right = "right" in job.code
            status = Status.PASSED if right else Status.WRONG_ANSWER
            yield Verdict(key=job.key, status=status)

    def close(self) -> None:
        pass


@pytest.fixture
def file(tmp_path: Path) -> RecordFile[Generation]:
    return RecordFile(tmp_path / "drafts.jsonl", Generation)


def led(model: Model, file: Drafts) -> Policy:
    def judge() -> Executor:
        return Judge()

    return revising(model, judge, lambda: file)


def request(key: str = "k", *, prefix: str = "", tested: bool = True) -> Request:
    problem = Problem.of("Add.", entry_point="f", examples=[((1,), 2)] if tested else [])
    return Request(key=key, problem=problem, index=0, seed=7, prefix=prefix)


@pytest.fixture
def answer(file: Drafts) -> Answer:
    def asked(model: Model, wanted: Request) -> Sample:
        file.path.unlink(missing_ok=True)
        (sample,) = led(model, file).sample([wanted])
        return sample

    return asked


def test_a_rewritten_program_replaces_its_draft(answer: Answer) -> None:
    model = Model()
    sample = answer(model, request())
    assert (sample.key, sample.code, sample.drafts) == ("k", "right and better\n", (PLAIN,))
    assert (sample.prompt_tokens, sample.completion_tokens, sample.cost) == (20, 6, 1.0)
    assert sample.logprob == -2.0  # of the program that counts
    first, second = model.asked
    assert (first.drafts, second.drafts) == ((), (PLAIN,))
    assert first.key != second.key
    assert first.seed != second.seed


def test_what_fails_public_tests_that_the_draft_passes_is_dropped(answer: Answer) -> None:
    sample = answer(Model(rewritten=Sample(key="", code="broken\n")), request())
    assert (sample.code, sample.drafts, sample.logprob) == (PLAIN, (PLAIN,), -1.0)
    assert sample.completion_tokens == 6
    both_fail = Model(draft="wrong\n", rewritten=Sample(key="", code="broken\n"))
    assert answer(both_fail, request()).code == "broken\n"
    untested = Model(rewritten=Sample(key="", code="broken\n"))
    assert answer(untested, request(tested=False)).code == "broken\n"


def test_what_is_cut_off_or_empty_is_dropped(answer: Answer) -> None:
    cut = Model(rewritten=Sample(key="", code="right, but", finish="length"))
    assert answer(cut, request()).code == PLAIN
    nothing = Model(draft="")
    assert answer(nothing, request()).drafts == ()
    assert len(nothing.asked) == 1


def test_a_prefix_is_continued_in_the_first_chat(answer: Answer) -> None:
    model = Model()
    assert answer(model, request(prefix="x = 1\n")).drafts == ()
    assert len(model.asked) == 1


def test_one_chat_needs_nobody(file: Drafts) -> None:
    model = Model(chats=1)
    assert led(model, file) is model
    several = led(Model(), file)
    assert (several.batch, several.identity()) == (8, {"model": "fake"})


def test_whoever_is_told_of_tokens_is_told_by_the_model(file: Drafts) -> None:
    model = Model()
    several: Any = led(model, file)
    assert hasattr(several, "on_tokens")
    several.on_tokens = print
    assert model.on_tokens is print


@pytest.mark.parametrize("patience", range(6))
def test_an_interruption_loses_what_is_in_flight(file: Drafts, patience: int) -> None:
    wanted = [request(key) for key in "abc"]
    first = Model(patience=patience)
    stored: list[Sample] = []
    with pytest.raises(KeyboardInterrupt):
        stored.extend(led(first, file).sample(wanted))
    again = Model()
    rest = [r for r in wanted if r.key not in {sample.key for sample in stored}]
    samples = [*stored, *led(again, file).sample(rest)]
    assert sorted(sample.key for sample in samples) == ["a", "b", "c"]
    assert {(sample.code, sample.drafts) for sample in samples} == {
        ("right and better\n", (PLAIN,))
    }
    asked = [r.key for r in (*first.asked, *again.asked)]
    assert len(asked) == len(set(asked)) == 6
