"""What each search does, in a toy world that can be enumerated."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from funprm.errors import ConfigError
from funprm.interfaces import Request, Sample
from funprm.records import LabelledProgram, Problem
from funprm.search.adaptive import Adaptive
from funprm.search.base import Search
from funprm.search.beam import Beam
from funprm.search.best_of_n import BestOfN
from funprm.search.courses import Asking
from funprm.search.early_stopping import EarlyStopping
from funprm.search.grower import Budget, Found, Grower
from funprm.search.records import Node
from funprm.search.repair import Repair
from funprm.search.smc import Particles, Smc
from tests.search.toy import (
    PROBLEM,
    ToyPolicy,
    ToyScorer,
    bodies_of,
    probabilities,
    program,
    right,
    value,
)

EVERY: dict[str, Search] = {
    "best of n": BestOfN(),
    "beam": Beam(expand=2),
    "trees": Beam(expand=2, trees=4),
    "early stopping": EarlyStopping(threshold=0.2),
    "smc": Smc(),
    "repair": Repair(),
    "adaptive": Adaptive(),
}


def grown(search: Search, seed: int = 0, stops: bool = True, **settings: float) -> Found:
    return search.run(PROBLEM, ToyPolicy(stops=stops), ToyScorer(**settings), seed=seed)  # type: ignore[arg-type]


def share_right(search: Search, seeds: int = 30) -> float:
    found = [node for seed in range(seeds) for node in grown(search, seed).candidates]
    return statistics.mean(right(bodies_of(node.code)) for node in found)


def solved(search: Search, seeds: int = 60) -> int:
    """Seeds with a right program."""
    found = [grown(search, seed).candidates for seed in range(seeds)]
    return sum(any(right(bodies_of(node.code)) for node in nodes) for nodes in found)


def agree(counts: Counter[str], expected: Mapping[str, float]) -> bool:
    """A chi-squared test at about four standard deviations."""
    total = counts.total()
    statistic = sum((counts[x] - total * p) ** 2 / (total * p) for x, p in expected.items())
    freedom = len(expected) - 1
    return counts.keys() <= expected.keys() and statistic < freedom + 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("stops", [True, False])
def test_programs_written_function_by_function_are_those_of_the_policy(stops: bool) -> None:
    """Also where the policy knows no steps, and what it wrote too much is cut off."""
    search = EarlyStopping(n=50, threshold=0.0)
    found = [x for seed in range(20) for x in grown(search, seed, stops).candidates]
    assert len(found) == 1000
    assert agree(Counter(bodies_of(node.code) for node in found), probabilities())
    assert all(node.code == program(bodies_of(node.code)) for node in found)
    if stops:  # in the same stream of random numbers they are the very same
        whole = [x for seed in range(20) for x in grown(BestOfN(n=50), seed).candidates]
        assert Counter(x.code for x in whole) == Counter(x.code for x in found)


@pytest.mark.parametrize("name", EVERY)
def test_candidates_are_distinct_and_complete(name: str) -> None:
    found = grown(EVERY[name])
    assert found.candidates
    assert len({node.key for node in found.candidates}) == len(found.candidates)
    keys = [node.key for node in found.tree]
    for node in found.candidates:
        assert node.code == program(bodies_of(node.code))
        path = found.path(node)
        assert not path[0].parent
        assert [keys.index(x.key) for x in path] == sorted(keys.index(x.key) for x in path)
    if name not in ("repair", "adaptive"):
        assert len(found.candidates) <= 8
    assert found.spent.written == sum(node.completion_tokens for node in found.tree)


@pytest.mark.parametrize("name", ["beam", "trees", "smc", "early stopping"])
def test_scores_make_programs_better(name: str) -> None:
    assert share_right(EVERY[name]) > value("") + 0.1


def test_what_is_cut_off_is_spent() -> None:
    """A policy that knows no steps writes whole programs."""
    once = grown(EarlyStopping(threshold=1.0))
    assert once.spent.written < grown(BestOfN()).spent.written
    cut = grown(EarlyStopping(threshold=1.0), stops=False)
    roots = [node for node in cut.tree if not node.parent]
    assert all(node.goes_on for node in roots)
    assert sum(node.completion_tokens for node in roots) >= 8 * 3


def test_beams_keep_the_best_beginnings() -> None:
    found = grown(Beam(n=8, expand=4))
    roots = [node for node in found.tree if not node.parent]
    parents = {node.parent for node in found.tree}
    kept = [node for node in roots if node.key in parents]
    assert len(kept) == 2
    assert min(n.scores[-1] for n in kept) >= max(
        n.scores[-1] for n in roots if n.key not in parents
    )
    assert Counter(n.parent for n in found.tree if n.parent in {k.key for k in kept}).values()
    trees = grown(Beam(n=8, expand=4, trees=2))
    by_tree = [[n for n in trees.tree if not n.parent and n.index // 4 == i] for i in range(2)]
    going = {node.parent for node in trees.tree}
    assert [sum(n.key in going for n in roots) for roots in by_tree] == [1, 1]


def test_early_stopping_abandons_below_the_threshold() -> None:
    found = grown(EarlyStopping(threshold=0.3))
    parents = {node.parent for node in found.tree}
    going = [node for node in found.tree if node.goes_on]
    assert {n.scores[-1] >= 0.3 for n in going if n.key in parents} == {True}
    assert {n.scores[-1] < 0.3 for n in going if n.key not in parents} == {True}
    assert len(grown(EarlyStopping(threshold=2.0, least=3)).candidates) == 3


TRUE: dict[str, float] = {}
FALSE = {"a": 0.9, "b": 0.1, "c": 0.5, "ab": 0.05, "aa": 0.3, "ba": 0.7, "cab": 0.25}


def particles(values: Mapping[str, float], seed: int, resample: float, n: int = 6) -> Particles:
    """The particles themselves, of which `run` only gives the programs."""
    course = Smc(n=n, resample=resample).particles(PROBLEM)

    class Given(Smc):
        def course(self, problems: Sequence[Problem]) -> Asking[list[list[Node]]]:
            found = yield from course
            result.append(found)
            return [[]]

    result: list[Particles] = []
    Grower(ToyPolicy(), ToyScorer(values), seed=seed).grow(Given(), [PROBLEM])
    return result[0]


@pytest.mark.parametrize("resample", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("values", [TRUE, FALSE], ids=["true", "false"])
def test_sequential_monte_carlo_is_unbiased(values: Mapping[str, float], resample: float) -> None:
    """The estimates of sum p(x) V(x) f(x), for every program and for 1, by enumeration."""
    expected = {x: p * values.get(x, float(right(x))) for x, p in probabilities().items()}
    runs = [particles(values, seed, resample) for seed in range(200)]
    totals = [run.total for run in runs]
    assert _near(totals, sum(expected.values()))
    for wanted, mass in expected.items():
        if mass < 0.01:  # too rare for a normal law
            continue
        found = [
            run.total
            * sum(
                w
                for x, w in zip(run.nodes, run.shares, strict=False)
                if bodies_of(x.code) == wanted
            )
            for run in runs
        ]
        assert _near(found, mass)


def _near(found: list[float], expected: float) -> bool:
    """Within four standard errors."""
    error = statistics.stdev(found) / math.sqrt(len(found))
    return abs(statistics.mean(found) - expected) <= 4 * error + 1e-9


def test_particles_follow_the_values() -> None:
    """With true values: the policy, given that the program is right."""
    wanted = {x: p / value("") for x, p in probabilities().items() if right(x)}
    run = particles(TRUE, 0, 1.0, n=500)
    found: Counter[str] = Counter()
    for node, share in zip(run.nodes, run.shares, strict=True):
        found[bodies_of(node.code)] += share  # type: ignore[assignment]
    assert all(abs(found[x] - p) < 0.06 for x, p in wanted.items())
    assert sum(found[x] for x in wanted) == pytest.approx(1)


def test_repair_writes_the_weakest_function_again() -> None:
    found = grown(Repair(n=16))
    above = {node.key: node for node in found.tree}
    repaired = [node for node in found.tree if node.parent]
    assert repaired
    for node in repaired:
        before, after = bodies_of(above[node.parent].code), bodies_of(node.code)
        assert len(before) == len(after)
        assert sum(x != y for x, y in zip(before, after, strict=True)) <= 1
        assert value(before) < 0.5
        assert node.completion_tokens <= 2
    assert len(found.candidates) == 16 + len(repaired)
    assert solved(Repair(n=2, rounds=2)) > solved(BestOfN(n=2))


def test_adaptive_spends_where_it_helps() -> None:
    """A problem that is certain gets its first programs alone."""
    names = ["easy", "hard", "hopeless"]
    problems = [replace(PROBLEM, problem_id=name, statement=name) for name in names]

    class Scorer(ToyScorer):
        def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
            value = {"easy": 1.0, "hard": 0.3, "hopeless": 0.0}
            yield from ((value[item.problem_id],) for item in programs)

    search = Adaptive(n=8, first=2, share=0.3)
    found = Grower(ToyPolicy(), Scorer()).grow(search, problems)
    easy, hard, hopeless = (len(item.candidates) for item in found)
    assert (easy, hard + hopeless) == (2, 22)
    assert hard > 14
    assert [item.problem_id for item in found] == names


def test_a_budget_ends_a_search() -> None:
    whole = grown(Repair(n=16)).spent.written
    first = grown(BestOfN(n=16)).spent.written
    policy = ToyPolicy()
    found = Repair(n=16).run(PROBLEM, policy, ToyScorer(), Budget(tokens=first))
    assert found.spent.written == first < whole
    assert len(found.candidates) == 16


def test_searches_of_several_problems_share_calls() -> None:
    policy = ToyPolicy(batch=1000)
    calls: list[int] = []
    answer = policy.sample

    def counted(requests: Sequence[Request]) -> Iterator[Sample]:
        calls.append(len(requests))
        return answer(requests)

    policy.sample = counted  # type: ignore[method-assign]
    problems = [replace(PROBLEM, problem_id=str(i), statement=str(i)) for i in range(5)]
    together = Grower(policy, ToyScorer()).grow(Beam(), problems)
    assert calls[0] == 40
    assert len(calls) <= 4
    alone = [Beam().run(p, ToyPolicy(), ToyScorer()) for p in problems]
    assert [found.tree for found in together] == [found.tree for found in alone]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BestOfN(n=0), "search.n is 0: expected at least 1"),
        (lambda: Beam(value="lst"), "did you mean 'last'?"),
        (lambda: Beam(expand=0), "search.expand is 0"),
        (lambda: Beam(trees=9), "search.trees is 9: expected 1 to n = 8"),
        (lambda: Smc(resample=2), "search.resample is 2"),
        (lambda: EarlyStopping(least=0), "search.least is 0"),
        (lambda: Repair(rounds=-1), "search.rounds is -1"),
        (lambda: Adaptive(first=9), "search.first is 9"),
        (lambda: Beam().run(PROBLEM, ToyPolicy()), "goes by step scores"),
    ],
)
def test_wrong_settings_are_one_line(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        make()


def test_a_prompt_of_several_chats_is_refused() -> None:
    class Chats(ToyPolicy):
        chats = 2

    with pytest.raises(ConfigError, match="several chats"):
        Beam().run(PROBLEM, Chats(), ToyScorer())
    assert BestOfN().run(PROBLEM, Chats()).candidates


def test_problems_have_programs_of_their_own() -> None:
    other = Problem(key="o", problem_id="other", statement="Other.", hidden=PROBLEM.hidden)
    first, second = (BestOfN().run(p, ToyPolicy()) for p in (PROBLEM, other))
    assert [n.code for n in first.candidates] != [n.code for n in second.candidates]
