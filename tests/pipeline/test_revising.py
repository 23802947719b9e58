"""Prompts of several chats: what is asked, and which program counts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from funprm.interfaces import Executor, Job, Request, Sample
from funprm.pipeline.revising import revising
from funprm.records import Json, Problem, Status, Verdict

PLAIN = "right\n"


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

    def identity(self) -> Mapping[str, Json]:
        return {"model": "fake"}

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        for request in requests:
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


def request(*, prefix: str = "", tested: bool = True) -> Request:
    problem = Problem.of("Add.", entry_point="f", examples=[((1,), 2)] if tested else [])
    return Request(key="k", problem=problem, index=0, seed=7, prefix=prefix)


def answer(model: Model, wanted: Request) -> Sample:
    def judge() -> Executor:
        return Judge()

    (sample,) = revising(model, judge).sample([wanted])
    return sample


def test_a_rewritten_program_replaces_its_draft() -> None:
    model = Model()
    sample = answer(model, request())
    assert (sample.key, sample.code, sample.drafts) == ("k", "right and better\n", (PLAIN,))
    assert (sample.prompt_tokens, sample.completion_tokens, sample.cost) == (20, 6, 1.0)
    assert sample.logprob == -2.0  # of the program that counts
    first, second = model.asked
    assert (first.drafts, second.drafts) == ((), (PLAIN,))
    assert first.key != second.key
    assert first.seed != second.seed


def test_what_fails_public_tests_that_the_draft_passes_is_dropped() -> None:
    sample = answer(Model(rewritten=Sample(key="", code="broken\n")), request())
    assert (sample.code, sample.drafts, sample.logprob) == (PLAIN, (PLAIN,), -1.0)
    assert sample.completion_tokens == 6
    both_fail = Model(draft="wrong\n", rewritten=Sample(key="", code="broken\n"))
    assert answer(both_fail, request()).code == "broken\n"
    untested = Model(rewritten=Sample(key="", code="broken\n"))
    assert answer(untested, request(tested=False)).code == "broken\n"


def test_what_is_cut_off_or_empty_is_dropped() -> None:
    cut = Model(rewritten=Sample(key="", code="right, but", finish="length"))
    assert answer(cut, request()).code == PLAIN
    nothing = Model(draft="")
    assert answer(nothing, request()).drafts == ()
    assert len(nothing.asked) == 1


def test_a_prefix_is_continued_in_the_first_chat() -> None:
    model = Model()
    assert answer(model, request(prefix="x = 1\n")).drafts == ()
    assert len(model.asked) == 1


def test_one_chat_needs_nobody() -> None:
    model = Model(chats=1)
    assert revising(model, Judge) is model
    several = revising(Model(), Judge)
    assert (several.batch, several.identity()) == (8, {"model": "fake"})
