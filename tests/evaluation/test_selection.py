import doctest
from dataclasses import replace
from itertools import combinations
from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.errors import ConfigError, DataError
from funprm.evaluation import selection
from funprm.evaluation.aggregation import AGGREGATORS
from funprm.evaluation.selection import (
    Candidate,
    Selector,
    best_of_n,
    expected_choice,
    parse_selector,
)
from funprm.evaluation.statistics import pass_at_k

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=20)
NAMES = [
    "random", "oracle", "public_tests", "majority", "self_certainty", "likelihood",
    "score:prm", "score:prm:min", "score:prm:product",
]  # fmt: skip
ALL = [*NAMES, *(f"public_tests+{name}" for name in NAMES)]


def selector(name: str) -> Selector:
    return parse_selector(name, AGGREGATORS)


few = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@st.composite
def pools(draw: st.DrawFn, most: int = 7) -> list[Candidate]:
    probes = draw(st.integers(0, 3))
    outputs = st.none() | st.tuples(*[st.sampled_from(["", "a", "b"])] * probes)
    candidate = st.builds(
        Candidate,
        generation=st.just("g"),
        passed=st.booleans(),
        public_passed=st.none() | few,
        outputs=outputs,
        logprob=st.none() | st.sampled_from([-8.0, -4.0]),
        logprob_tokens=st.sampled_from([0, 2, 4]),
        self_certainty=st.none() | few,
        scores=st.just({}) | st.fixed_dictionaries({"prm": st.lists(few, max_size=2).map(tuple)}),
    )
    pool = draw(st.lists(candidate, min_size=1, max_size=most))
    return [replace(c, generation=f"g{i}", index=i) for i, c in enumerate(pool)]


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(selection).failed == 0


@pytest.mark.parametrize("name", ALL)
@REPEATABLE
@given(pool=pools(), data=st.data())
def test_permuting_candidates_permutes_the_choice(
    name: str, pool: list[Candidate], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(pool))))
    there = selector(name).best([pool[i] for i in order])
    assert {order[i] for i in there} == set(selector(name).best(pool))


@pytest.mark.parametrize("name", ALL)
@REPEATABLE
@given(pool=pools(most=5))
def test_the_curve_is_the_mean_over_all_subsets(name: str, pool: list[Candidate]) -> None:
    chosen = selector(name)
    sizes = range(1, len(pool) + 2)
    for n, got in zip(sizes, best_of_n(chosen, pool, sizes), strict=True):
        subsets = list(combinations(pool, n))
        if not subsets:
            assert got is None
            continue
        rates = []
        for subset in subsets:
            best = chosen.best(subset)
            rates.append(sum(bool(subset[i].passed) for i in best) / len(best))
        assert got == pytest.approx(sum(rates) / len(rates))


@REPEATABLE
@given(pool=pools(most=9))
def test_random_is_pass_at_1_and_oracle_is_pass_at_n(pool: list[Candidate]) -> None:
    sizes = range(1, len(pool) + 1)
    c = sum(bool(x.passed) for x in pool)
    assert best_of_n(selector("random"), pool, sizes) == pytest.approx([c / len(pool)] * len(pool))
    oracle = [pass_at_k(len(pool), c, n) for n in sizes]
    assert best_of_n(selector("oracle"), pool, sizes) == pytest.approx(oracle)


def test_the_strictly_best_is_always_chosen_and_ties_are_shared() -> None:
    pool = [Candidate(generation=str(i), scores={"prm": (s,)}) for i, s in enumerate([0.2, 0.9])]
    tied = [*pool, replace(pool[1], generation="2")]
    drawn = [selector("score:prm")(tied, Random(seed)) for seed in range(400)]
    assert {selector("score:prm")(pool, Random(seed)) for seed in range(50)} == {1}
    assert set(drawn) == {1, 2}
    assert 150 < drawn.count(1) < 250


def test_the_same_seed_chooses_the_same() -> None:
    pool = [Candidate(generation=str(i)) for i in range(9)]
    first = [selector("random")(pool, Random(f"7:{p}")) for p in range(30)]
    assert first == [selector("random")(pool, Random(f"7:{p}")) for p in range(30)]
    assert len(set(first)) > 5


def outputs(*all_outputs: str) -> list[Candidate]:
    return [Candidate(generation=str(i), outputs=tuple(o)) for i, o in enumerate(all_outputs)]


def test_majority_takes_the_largest_class_of_equal_outputs() -> None:
    assert selector("majority").best(outputs("ab", "ax", "ab", "yb", "zz")) == (0, 2)


def test_equal_failures_are_no_agreement() -> None:
    failing = [("a", ""), ("a", ""), ("a", ""), ("a", "b"), ("a", "b")]
    pool = [Candidate(generation=str(i), outputs=o) for i, o in enumerate(failing)]
    assert selector("majority").best(pool) == (3, 4)


def test_majority_breaks_ties_by_input() -> None:
    assert selector("majority").best(outputs("abc", "abx", "zyx", "uvw")) == (1,)


def test_majority_after_the_filter_counts_survivors_only() -> None:
    pool = [
        replace(c, public_passed=p)
        for c, p in zip(outputs("a", "a", "a", "b", "b", "c"), [0.5] * 3 + [1.0] * 3, strict=True)
    ]
    assert selector("majority").best(pool) == (0, 1, 2)
    assert selector("public_tests+majority").best(pool) == (3, 4)


def test_likelihood_is_per_token() -> None:
    long = Candidate(generation="long", logprob=-20.0, logprob_tokens=100)
    short = Candidate(generation="short", logprob=-10.0, logprob_tokens=10)
    assert selector("likelihood").best([short, long]) == (1,)


def test_a_program_that_does_not_fit_ranks_last_even_behind_zero() -> None:
    pool = [Candidate(generation="a", scores={"prm": ()}), Candidate(generation="b", scores={})]
    zero = Candidate(generation="c", scores={"prm": (0.0,)})
    for name in ("score:prm", "score:prm:product"):
        assert selector(name).best([*pool, zero]) == (2,)
        assert selector(name).informed([*pool, zero])
        assert selector(name).best(pool) == (0, 1)
        assert not selector(name).informed(pool)


def test_nothing_known_is_counted_after_the_filter_too() -> None:
    knows = Candidate(generation="a", public_passed=0.0, outputs=("x",))
    fits = Candidate(generation="b", public_passed=1.0, outputs=("",))
    assert selector("majority").informed([knows, fits])
    assert not selector("public_tests+majority").informed([knows, fits])
    assert selector("random").informed([fits])


def test_the_filter_takes_who_passes_most_and_all_where_there_are_no_public_tests() -> None:
    pool = [
        Candidate(generation="a", public_passed=0.5, self_certainty=9.0),
        Candidate(generation="b", public_passed=0.7, self_certainty=1.0),
        Candidate(generation="c", public_passed=0.7, self_certainty=2.0),
    ]
    assert selector("self_certainty").best(pool) == (0,)
    assert selector("public_tests+self_certainty").best(pool) == (2,)
    bare = [replace(c, public_passed=None) for c in pool]
    assert selector("public_tests+self_certainty").best(bare) == (0,)


def test_candidates_not_judged_are_left_out_of_the_curve() -> None:
    pool = [Candidate(generation=str(i), passed=p) for i, p in enumerate([True, None, False])]
    assert best_of_n(selector("random"), pool, (1, 2, 3)) == (0.5, 0.5, None)
    assert best_of_n(selector("random"), pool[1:2], (1,)) == (None,)


def test_sampled_subsets_are_near_the_truth_and_repeat() -> None:
    pool = [
        Candidate(
            generation=str(i), passed=i % 3 == 0, outputs=("right" if i % 3 == 0 else str(i),)
        )
        for i in range(24)
    ]
    got = best_of_n(selector("majority"), pool, (1, 4, 24), subsets=2000)
    assert got == best_of_n(selector("majority"), pool, (1, 4, 24), subsets=2000)
    # A pair of right programs wins, a lone one is chosen as any other: hypergeometric.
    lone, none = 8 * 560 / 10626, 1820 / 10626
    assert got == pytest.approx((1 / 3, 1 - none - lone * 3 / 4, 1.0), abs=0.03)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("majorty", "did you mean 'majority'"),
        ("public_tests+oracel", "did you mean 'oracle'"),
        ("score:", "names no model"),
        ("score:prm:maen", "did you mean 'mean'"),
        ("zzz", "known are: likelihood, majority"),
    ],
)
def test_unknown_selectors_are_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        selector(name)


def test_model_names_may_contain_a_plus() -> None:
    pool = [
        Candidate(generation="a", scores={"table+reweight": (0.1, 0.9)}),
        Candidate(generation="b", scores={"table+reweight": (0.4, 0.4)}),
    ]
    assert selector("public_tests+score:table+reweight").best(pool) == (0,)
    assert selector("score:table+reweight:min").best(pool) == (1,)


def test_no_candidates_and_no_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="no candidates"):
        selector("random")([], Random(0))
    with pytest.raises(DataError, match="at least 1"):
        best_of_n(selector("random"), [Candidate(generation="a", passed=True)], (0,))


@REPEATABLE
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=2, max_size=6),
    st.integers(1, 6),
)
def test_expected_choice_is_the_mean_over_all_subsets(
    rows: list[tuple[int, int]], size: int
) -> None:
    size = min(size, len(rows))
    expected = []
    for subset in combinations(rows, size):
        best = max(score for score, _ in subset)
        expected.append(mean(outcome for score, outcome in subset if score == best))
    totals, outcomes = zip(*rows, strict=True)
    assert expected_choice(totals, outcomes, size) == pytest.approx(mean(expected))


def test_equal_scores_choose_at_random() -> None:
    assert expected_choice([0, 0, 0, 0], [1, 0, 0, 0], 4) == pytest.approx(0.25)
    assert expected_choice([1, 1, 0], [1, 0, 0], 3) == pytest.approx(0.5)


def voter(outputs: str, score: float | None, passed: bool = False) -> Candidate:
    scores = {} if score is None else {"prm": (score,)}
    return Candidate(generation="", outputs=tuple(outputs), passed=passed, scores=scores)


def test_a_weighted_majority_counts_votes_by_their_scores() -> None:
    pool = [voter("ab", 0.2), voter("ab", 0.3), voter("ab", None), voter("cd", 0.9), voter("", 1.0)]
    assert parse_selector("majority", AGGREGATORS).best(pool) == (0, 1, 2)
    weighted = parse_selector("majority:prm", AGGREGATORS)
    assert weighted.best(pool) == (3,)
    assert weighted.informed(pool)
    assert not weighted.informed([voter("ab", None), voter("cd", None)])
    assert parse_selector("public_tests+majority:prm:min", AGGREGATORS).filtered
    equal = [replace(c, scores={"prm": (0.5,)}) for c in pool[:4]]
    assert weighted.best(equal) == parse_selector("majority", AGGREGATORS).best(equal)


def test_a_weighted_majority_agrees_with_brute_force() -> None:
    rng = Random(3)
    for _ in range(200):
        pool = [
            voter(rng.choice(["a", "b", "c"]), rng.randrange(1, 9) / 8, rng.random() < 0.5)
            for _ in range(6)
        ]
        votes: dict[tuple[str, ...], float] = {}
        for c in pool:
            votes[c.outputs or ()] = votes.get(c.outputs or (), 0.0) + c.scores["prm"][0]
        most = max(votes.values())
        expected = tuple(i for i, c in enumerate(pool) if votes[c.outputs or ()] == most)
        assert parse_selector("majority:prm", AGGREGATORS).best(pool) == expected


def test_log_odds_are_no_weights() -> None:
    with pytest.raises(DataError, match="no weight in .0, 1.: use the aggregator mean"):
        parse_selector("majority:prm:log_odds", AGGREGATORS).best([voter("a", 0.1)])
