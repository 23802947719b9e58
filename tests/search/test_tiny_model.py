"""Programs of the tiny model, written function by function, are those it writes at once."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from funprm.datasets.mini import MiniDataset
from funprm.interfaces import Request
from funprm.policies.huggingface.policy import HuggingFacePolicy
from funprm.records import LabelledProgram, Problem, seed_of
from funprm.search.best_of_n import BestOfN
from funprm.search.early_stopping import EarlyStopping
from funprm.search.grower import Grower
from funprm.steps import opening_lines


@pytest.fixture(scope="module")
def policy() -> HuggingFacePolicy:
    return HuggingFacePolicy(device="cpu")


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return list(MiniDataset(train=0, meta=0, validation=0, test=8).load())


class Nothing:
    """Knows nothing of any program."""

    def identity(self) -> dict[str, str]:
        return {"scorer": "nothing"}

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        return iter([()] * len(programs))


def test_step_by_step_in_one_stream_is_one_call(
    policy: HuggingFacePolicy, problems: list[Problem]
) -> None:
    """The very same programs, by the very same number of tokens."""
    stepwise = Grower(policy, Nothing()).grow(EarlyStopping(n=4), problems)
    whole = Grower(policy, Nothing()).grow(BestOfN(n=4), problems)
    for steps, once in zip(stepwise, whole, strict=True):
        assert {n.code for n in steps.candidates} == {n.code for n in once.candidates}
        assert steps.spent.written == once.spent.written
        assert len(steps.tree) > len(once.tree)
        logprobs = [sum(x.logprob or 0 for x in steps.path(n)) for n in steps.candidates]
        assert sorted(logprobs) == pytest.approx(
            sorted(n.logprob or 0 for n in once.candidates), abs=1e-3
        )


def test_an_answer_ends_where_its_steps_do(
    policy: HuggingFacePolicy, problems: list[Problem]
) -> None:
    whole = {s.key: s for s in policy.sample([_request(p, 0) for p in problems])}
    for steps in (1, 2):
        for sample in policy.sample([_request(p, 0, steps) for p in problems]):
            assert sample.finish == "step"
            assert len(opening_lines(sample.code)) == steps + 1
            assert whole[sample.key].code.startswith(sample.code)
            assert sample.completion_tokens < whole[sample.key].completion_tokens


def test_step_by_step_in_streams_of_their_own_is_the_same_distribution(
    policy: HuggingFacePolicy, problems: list[Problem]
) -> None:
    """A chi-squared test of two samples of 400 programs."""
    count = 400
    once = Counter(s.code for s in policy.sample([_request(problems[0], i) for i in range(count)]))
    going = [_request(problems[0], 1000 + i, 1) for i in range(count)]
    stepwise: Counter[str] = Counter()
    while going:
        asked, going = {r.key: r for r in going}, []
        for sample in policy.sample(list(asked.values())):
            request = asked[sample.key]
            if sample.finish != "step":
                stepwise[sample.code] += 1
                continue
            seed = seed_of("other stream", request.seed, request.steps)
            going.append(replace(request, prefix=sample.code, steps=request.steps + 1, seed=seed))
    assert stepwise.total() == count
    common = [code for code, n in (once + stepwise).items() if n >= 10]
    assert len(common) > 3
    pairs = [(once[code], stepwise[code]) for code in common]
    pairs.append((count - sum(a for a, _ in pairs), count - sum(b for _, b in pairs)))
    statistic = sum((a - b) ** 2 / (a + b) for a, b in pairs if a + b)
    freedom = len(pairs) - 1
    assert statistic < freedom + 4 * math.sqrt(2 * freedom)


def _request(problem: Problem, index: int, steps: int = 0) -> Request:
    seed = seed_of("test", problem.problem_id, index)
    key = f"{problem.problem_id} {index}"
    return Request(key=key, problem=problem, index=index, seed=seed, steps=steps)
