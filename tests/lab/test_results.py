import numpy as np
import pytest

from funprm.errors import DataError
from funprm.lab.config import LabConfig
from funprm.lab.methods import Cell, cell_key
from funprm.lab.report import Measure, as_json, mark, render
from funprm.lab.results import CHOSEN, summarise, two_level
from funprm.statistics import Interval


def cell(seed: int, method: str, gain: float, criterion: float) -> Cell:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.01, 20)
    return Cell(
        key=cell_key(seed, "hot", method),
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
    assert "-50.0 [-50.0, -50.0]" in text
    assert len(as_json(results)["rows"]) == 4


def test_one_number_is_no_evidence() -> None:
    measure = Measure("", 1.0, 1)
    assert mark(Interval(0.2, 0.2, 0.2), measure) == " "
    assert mark(Interval(0.2, 0.1, 0.3), measure) == "+"
    assert mark(Interval(-0.2, -0.3, -0.1), measure) == "-"
    assert mark(Interval(0.2, -0.1, 0.3), measure) == " "


def test_intervals_cover_both_kinds_of_chance() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        centres = rng.normal(1.0, 0.3, 8)
        groups = [rng.normal(centre, 1.0, 15) for centre in centres]
        interval = two_level(groups, resamples=300, seed=trial)
        covered += interval.low <= 1.0 <= interval.high
    assert 85 <= covered <= 99
    with pytest.raises(DataError):
        two_level([])
