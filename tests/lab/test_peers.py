from collections.abc import Sequence

import pytest

from funprm.lab.peers import nait, scan
from funprm.records import LabelledProgram
from tests.prm.world import program


def labels(programs: Sequence[LabelledProgram], index: int) -> list[float | None]:
    p = programs[index]
    return [p.reward(step) for step in range(len(p.steps))]


def test_scan_filters_problems_and_softens_labels_before_the_error() -> None:
    easy = [
        *(program("easy", kinds, [2, 1], [4, 1]) for kinds in ("ab", "ac", "bc")),
        program("easy", "abcax", [1, 1, 3, 0, 0], [4, 4, 4, 4, 1]),
    ]
    hard = [program("hard", "ax", [1, 0], [4, 1]), program("hard", "bx", [1, 0], [4, 1])]
    found = scan([*easy, *hard])
    assert {p.problem_id for p in found} == {"easy"}
    assert labels(found, 0) == [1.0, 1.0]
    # Confidence 3/4, the error at step 4 (k = 0): two soft labels, hard ones before.
    assert labels(found, 3) == [1.0, pytest.approx(1 / 3, abs=1e-6), 1.0, 0.0, None]


def test_scan_keeps_the_most_confident_where_none_is() -> None:
    programs = [
        program("a", "ab", [2, 1], [4, 1]),
        program("a", "ax", [2, 0], [4, 1]),
        program("b", "x", [0], [1]),
    ]
    assert {p.problem_id for p in scan(programs)} == {"a"}
    assert scan([program("b", "x", [0], [1])]) == []


def test_nait_overrules_labels_where_the_model_is_sure() -> None:
    programs = [
        program("p", "ab", [0, 1], [4, 1]),
        program("q", "ab", [4, 1], [4, 1]),
        program("r", "ab", [1, 1], [4, 1]),
        program("s", "ab", [3, 0], [4, 1]),
    ]
    rounds: list[list[float | None]] = []

    def fit(given: Sequence[LabelledProgram]) -> list[tuple[float, float]]:
        rounds.append([labels(given, i)[0] for i in range(4)])
        return [(0.9, 0.5), (0.9, 0.5), (0.7, 0.5), (0.1, 0.5)]

    found = nait(programs, fit)
    assert rounds == [[0.0, 1.0, 0.25, 0.75], [1.0, 1.0, 0.25, 0.0]]
    assert (found[0].k[0], found[0].n[0]) == (0, 4)  # what was measured stays
    assert [p.outcome for p in found] == [1.0, 1.0, 1.0, 0.0]
