import pytest

from funprm.errors import DataError
from funprm.evaluation.aggregation import AGGREGATORS
from funprm.evaluation.comparison import Outcomes, compare, contrasts, curve, outcomes
from funprm.evaluation.selection import Candidate, parse_selector


def pool(*passed: bool | None, scores: tuple[float, ...] = ()) -> list[Candidate]:
    padded = [*scores, *[None] * len(passed)]
    return [
        Candidate(generation=str(i), passed=p, scores={} if s is None else {"prm": (s,)})
        for i, (p, s) in enumerate(zip(passed, padded, strict=False))
    ]


def made(selector: str, *solved: bool | None) -> Outcomes:
    expected = tuple(float(bool(s)) for s in solved)
    return Outcomes(selector=selector, n=4, solved=solved, expected=expected)


def test_outcomes_tell_choice_expectation_and_missing_information() -> None:
    pools = [pool(True, False, True, scores=(0.1, 0.9)), pool(True, False, None), pool(None)]
    got = outcomes(parse_selector("score:prm", AGGREGATORS), pools, [1, 0, 0])
    assert got.solved == (False, True, None)
    assert got.expected == (0.0, 0.5, 0.0)
    assert (got.n, got.uninformed) == (3, frozenset({1, 2}))
    (row,) = compare([got], ["", "", ""], baseline="score:prm", resamples=20).rows
    assert (row.problems, row.uninformed) == (2, 1)  # the last problem is left out
    assert outcomes(parse_selector("random", AGGREGATORS), pools, [0, 0, 0]).n == 1


def test_all_rows_count_the_same_problems() -> None:
    table = compare(
        [made("a", True, True, False, None, True), made("b", True, False, True, True, True)],
        ["easy", "hard", "easy", "easy", ""],
        baseline="b",
        resamples=200,
    )
    a, b = table.rows
    assert table.left_out == 1
    assert (a.problems, b.problems, a.solved, b.solved) == (4, 4, 3, 3)
    assert (a.accuracy.estimate, b.accuracy.estimate) == (0.75, 0.75)
    assert list(a.by_difficulty) == ["easy", "hard"]
    assert (a.by_difficulty["easy"].problems, a.by_difficulty["easy"].accuracy) == (2, 0.5)
    assert a.difference is not None
    assert a.difference.low < a.difference.estimate == 0.0 < a.difference.high
    assert a.mcnemar is not None
    assert (a.mcnemar.p, a.mcnemar.only_first, a.mcnemar.only_second) == (1.0, 1, 1)
    assert b.difference is None
    assert b.mcnemar is None


def test_difficulties_come_easiest_first_whatever_their_names() -> None:
    levels = ["zen", "hard", "medium", "easy", "brutal"]
    (row,) = compare([made("a", *[True] * 5)], levels, baseline="a", resamples=50).rows
    assert list(row.by_difficulty) == ["easy", "medium", "hard", "brutal", "zen"]


@pytest.mark.parametrize(
    ("results", "levels", "baseline", "message"),
    [
        ([made("a", True)], ["easy"], "b", "baseline 'b' is not among the selectors: a"),
        ([made("a", True), made("b", True, True)], ["easy"], "a", "different numbers"),
        ([made("a", None), made("b", True)], [""], "a", "nothing to compare"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    results: list[Outcomes], levels: list[str], baseline: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        compare(results, levels, baseline=baseline)


def test_the_curve_is_over_problems_with_enough_judged_candidates() -> None:
    pools = [pool(True, False), pool(False, False), pool(True, None), pool(True, True)]
    got = curve(parse_selector("oracle", AGGREGATORS), pools, (1, 2), resamples=100)
    assert (got.selector, got.problems) == ("oracle", 3)
    assert [(n, round(i.estimate, 6)) for n, i in got.points] == [(1, 0.5), (2, 0.666667)]
    with pytest.raises(DataError, match="3 judged candidates"):
        curve(parse_selector("oracle", AGGREGATORS), pools, (3,))


def test_several_rows_are_several_tests() -> None:
    base = made("base", *[False] * 20)
    good = made("good", *[True] * 9, *[False] * 11)
    fair = made("fair", *[True] * 6, *[False] * 14)
    best = made("oracle", *[True] * 20)
    table = compare([base, good, fair, best], [""] * 20, baseline="base", resamples=50)
    tests = {row.selector: row for row in table.rows}
    assert tests["good"].mcnemar is not None
    assert tests["fair"].mcnemar is not None
    assert tests["good"].adjusted == pytest.approx(2 * tests["good"].mcnemar.p)
    assert tests["fair"].adjusted == tests["fair"].mcnemar.p == 0.03125
    assert tests["oracle"].adjusted is None
    found = contrasts([base, good, fair, best], "good", resamples=50)
    assert [c.selector for c in found if c.adjusted is None] == ["oracle"]


def test_a_table_says_what_its_problems_can_show() -> None:
    base, other = made("a", *[False] * 40), made("b", *[True] * 4, *[False] * 36)
    table = compare([base, other], [""] * 40, baseline="a", resamples=50)
    assert table.resolution is not None
    assert (table.resolution.problems, table.resolution.discordant) == (40, 0.1)
    assert table.resolution.difference == pytest.approx(0.19, abs=0.01)
    assert compare([base], [""] * 40, baseline="a", resamples=50).resolution is None
