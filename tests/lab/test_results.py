import re

import numpy as np
import pytest

from funprm.errors import DataError
from funprm.evaluation.statistics import Interval
from funprm.lab.config import LabConfig
from funprm.lab.methods import Measurement, cell_key
from funprm.lab.report import Measure, as_json, mark, render
from funprm.lab.results import CHOSEN, summarise, two_level


def cell(seed: int, method: str, gain: float, criterion: float) -> Measurement:
    rng = np.random.default_rng([seed, len(method)])
    noise = rng.normal(0, 0.01, 20)
    noise -= noise.mean()
    return Measurement(
        key=cell_key("", seed, "hot", method),
        seed=seed,
        corruption="" if method == "orm" else "hot",
        method=method,
        errors=() if method == "orm" else tuple(0.1 - gain + noise),
        step_auc=0.6 + gain,
        choices={"2": tuple(0.5 + gain + noise), "4": tuple(0.6 + gain + noise)},
        criterion=criterion,
        seconds=1.0,
    )


CELLS = [
    cell(seed, method, gain, criterion)
    for seed in range(4)
    for method, gain, criterion in (
        ("orm", 0.0, 0.0),
        ("none", 0.0, 0.5),
        ("posterior", 0.05, 0.4 + 0.1 * seed),
    )
]
CONFIG = LabConfig(output="", seeds=4, corruptions=("hot",), methods=("orm", "none", "posterior"))


def test_paired_differences_and_the_choice_by_validation() -> None:
    results = summarise(CONFIG, CELLS)
    row = results.rows["hot", "posterior"]
    assert results.size == 4
    assert row.to_none["error"].estimate == pytest.approx(-0.05)
    assert row.to_none["error"].high < 0
    assert row.to_none["best_of_n"].low > 0
    assert row.curve == {2: pytest.approx(row.curve[4] - 0.1), 4: pytest.approx(row.curve[4])}
    assert "error" not in results.rows["hot", "orm"].means
    # By validation: seed 0 takes none, seed 1 ties and takes the first, seeds 2 and 3 posterior.
    chosen = results.rows["hot", CHOSEN]
    assert chosen.means["step_auc"] == pytest.approx(0.6 + 0.05 / 2)


def test_text_marks_what_is_beyond_its_interval() -> None:
    results = summarise(CONFIG, CELLS)
    text = render(results)
    (line, *_) = [line for line in text.splitlines() if line.startswith("hot")]
    assert line.split()[3].endswith("+")
    assert re.search(r"-50\.0 \[-5\d\.\d, -4\d\.\d\]", text)
    assert len(as_json(results)["rows"]) == 4


def test_one_number_is_no_evidence() -> None:
    measure = Measure("", 1.0, 1)
    assert mark(Interval(0.2, 0.2, 0.2), measure) == " "
    assert mark(Interval(0.2, 0.1, 0.3), measure) == "+"
    assert mark(Interval(-0.2, -0.3, -0.1), measure) == "-"
    assert mark(Interval(0.2, -0.1, 0.3), measure) == " "


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_intervals_cover_both_kinds_of_chance(seeds: int, spread: float) -> None:
    """Paired differences on 300 problems, 6 % won and 6 % lost, moved by the seed."""
    rng, trials = np.random.default_rng(seeds), 400

    def drawn() -> Interval:
        moves = rng.normal(0, spread, seeds)
        shares = [(0.06 + max(m, 0), 0.06 + max(-m, 0)) for m in moves]
        groups = [
            rng.choice([1.0, -1.0, 0.0], 300, p=[won, lost, 1 - won - lost]) for won, lost in shares
        ]
        return two_level(groups)

    covered = sum(i.low <= 0 <= i.high for i in (drawn() for _ in range(trials))) / trials
    assert 0.93 <= covered <= 0.998


def test_the_interval_is_students_over_seeds() -> None:
    found = two_level([np.array([value]) for value in (1.0, 2.0, 4.0)])
    half = 4.302653 * np.std([1, 2, 4], ddof=1) / np.sqrt(3)
    assert found == pytest.approx((7 / 3, 7 / 3 - half, 7 / 3 + half))
    alone = two_level([np.array([0.0, 1.0] * 50)])
    assert (alone.low, alone.high) == pytest.approx((0.5 - 0.0985, 0.5 + 0.0985), abs=1e-3)
    equal = two_level([np.array([0.0, 1.0] * 50)] * 2)
    assert equal.high - equal.estimate == pytest.approx((alone.high - 0.5) / 2**0.5)


def test_nothing_to_average_over_is_refused() -> None:
    for groups in ([], [np.array([])]):
        with pytest.raises(DataError):
            two_level(groups)
