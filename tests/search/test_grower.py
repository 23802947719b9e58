"""What a search stores, and how it goes on after an interruption."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from funprm.errors import PolicyError
from funprm.interfaces import PaidScores
from funprm.records import LabelledProgram
from funprm.search.base import Search
from funprm.search.beam import Beam
from funprm.search.grower import Grower
from funprm.search.records import Node
from funprm.search.repair import Repair
from funprm.search.smc import Smc
from funprm.store import RecordFile
from tests.commands.conftest import FakeJudge
from tests.search.toy import PROBLEM, ToyPolicy, ToyScorer

SEARCHES = [Beam(), Smc(), Repair()]


def file(folder: Path) -> RecordFile[Node]:
    return RecordFile(folder / "nodes.jsonl", Node)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: type(search).__name__)
@pytest.mark.parametrize("fails_after", [0, 3, 11])
def test_an_interrupted_search_is_the_same_tree(
    search: Search, fails_after: int, tmp_path: Path
) -> None:
    whole = search.run(PROBLEM, ToyPolicy(), ToyScorer())
    broken = ToyPolicy(fails_after=fails_after)
    with pytest.raises(KeyboardInterrupt):
        Grower(broken, ToyScorer(), file=file(tmp_path)).grow(search, [PROBLEM])
    policy, scorer = ToyPolicy(), ToyScorer()
    (found,) = Grower(policy, scorer, file=file(tmp_path)).grow(search, [PROBLEM])
    assert found == whole
    assert len(policy.asked) == len(whole.tree) - fails_after
    asked = [request.key for request in broken.asked + policy.asked]
    assert len(set(asked)) == len(asked)
    again, scorer = ToyPolicy(fails_after=0), ToyScorer()
    assert Grower(again, scorer, file=file(tmp_path)).grow(search, [PROBLEM]) == [whole]
    assert scorer.scored == 0


def test_an_interruption_before_scores_costs_no_answer(tmp_path: Path) -> None:
    class Broken(ToyScorer):
        def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
            for number, scores in enumerate(super().score(programs)):
                if number == 2:
                    raise KeyboardInterrupt
                yield scores

    with pytest.raises(KeyboardInterrupt):
        Grower(ToyPolicy(), Broken(), file=file(tmp_path)).grow(Beam(), [PROBLEM])
    assert sum(bool(node.scores) for node in file(tmp_path)) == 2
    policy, scorer = ToyPolicy(), ToyScorer()
    (found,) = Grower(policy, scorer, file=file(tmp_path)).grow(Beam(), [PROBLEM])
    assert found == Beam().run(PROBLEM, ToyPolicy(), ToyScorer())
    assert len(policy.asked) == len(found.tree) - 8
    assert scorer.scored == len(found.tree) - 2


def test_another_reward_model_scores_anew_and_pays_nothing_twice(tmp_path: Path) -> None:
    Grower(ToyPolicy(), ToyScorer(), file=file(tmp_path)).grow(Beam(), [PROBLEM])
    other = ToyScorer({"a": 0.0, "b": 0.1, "c": 0.9})
    policy = ToyPolicy()
    (found,) = Grower(policy, other, file=file(tmp_path)).grow(Beam(), [PROBLEM])
    assert found == Beam().run(PROBLEM, ToyPolicy(), ToyScorer(other.values))
    assert all(request.prefix for request in policy.asked)


def test_public_tests_tell_what_is_repaired(tmp_path: Path) -> None:
    public = replace(PROBLEM.hidden, cases=())
    problem = replace(PROBLEM, public=replace(public, kind="check", code="check"))
    judge = FakeJudge()
    grower = Grower(ToyPolicy(), ToyScorer(), executor=lambda: judge, file=file(tmp_path))
    (found,) = grower.grow(Repair(n=4), [problem])
    roots = [node for node in found.tree if not node.parent]
    assert [node.passed for node in roots] == [False] * 4
    assert len([node for node in found.tree if node.parent]) == 4
    assert len(judge.judged) == 8
    again = Grower(ToyPolicy(), ToyScorer(), executor=lambda: judge, file=file(tmp_path))
    assert again.grow(Repair(n=4), [problem]) == [found]
    assert len(judge.judged) == 8


def test_what_could_not_be_scored_ends_the_search(tmp_path: Path) -> None:
    """A scorer behind a server may leave some programs unanswered."""

    class Faulty(ToyScorer):
        def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
            for number, scores in enumerate(super().score(programs)):
                yield scores if number % 2 else None  # type: ignore[misc]

    with pytest.raises(PolicyError, match="4 of 8 parts of programs were not scored"):
        Grower(ToyPolicy(), Faulty(), file=file(tmp_path)).grow(Beam(), [PROBLEM])
    policy, scorer = ToyPolicy(), ToyScorer()
    (found,) = Grower(policy, scorer, file=file(tmp_path)).grow(Beam(), [PROBLEM])
    assert found == Beam().run(PROBLEM, ToyPolicy(), ToyScorer())
    assert scorer.scored == len(found.tree) - 4


def test_what_scores_cost_is_counted() -> None:
    class Paid(ToyScorer):
        def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
            for scores in super().score(programs):
                yield PaidScores(scores, tokens=7, cost=0.5)

    found = Beam().run(PROBLEM, ToyPolicy(), Paid())
    assert found.spent.scored == 7 * len(found.tree)
    assert found.spent.cost == 0.5 * len(found.tree)
