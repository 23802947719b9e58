import doctest
from dataclasses import replace

import pytest

from funprm.evaluation.statistics import Interval, McNemar
from funprm.report import wording
from funprm.report.data import ReportData


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(wording).failed == 0


@pytest.mark.parametrize(
    ("selector", "label"),
    [
        ("random", "One sample"),
        ("score:funprm", "FunPRM"),
        ("score:my-model:log_odds", "my-model (log_odds)"),
        ("score:funprm+reweight", "funprm+reweight"),
        ("public_tests+majority", "Public tests, then majority of outputs"),
        ("public_tests+score:prm", "Public tests, then PRM, uncorrected"),
        ("judge", "judge"),
    ],
)
def test_selectors_have_names_for_people(selector: str, label: str) -> None:
    assert wording.selector_label(selector) == label


def test_the_columns_say_which_intervals_they_hold() -> None:
    assert "BCa bootstrap" in wording.columns(10)["Accuracy"]
    few = wording.columns(9)
    assert "exact binomial: fewer than 10 problems" in few["Accuracy"]
    assert list(few) == list(wording.COLUMNS)


def test_the_headline_admits_what_is_not_shown(data: ReportData) -> None:
    text = wording.headline(data)
    assert text.startswith("FunPRM solves 81.0 % of 131 problems (95 % interval 73.0–89.0)")
    assert "+4.0 points against PRM, uncorrected (+1.0 to +7.0; 5 won, 0 lost, p = 0.0625)" in text
    assert text.endswith("These problems do not tell the two apart.")


def test_the_headline_is_plain_where_the_gain_is_clear(data: ReportData) -> None:
    clear = replace(data.table[2], mcnemar=McNemar(0.0001, 30, 2))
    text = wording.headline(replace(data, table=(data.table[1], clear)))
    assert text.endswith("30 won, 2 lost, p <0.001).")
    wide = replace(clear, difference=Interval(0.02, -0.01, 0.05))
    assert "do not tell" in wording.headline(replace(data, table=(data.table[1], wide)))


def test_the_headline_of_the_baseline_compares_nothing(data: ReportData) -> None:
    assert wording.headline(replace(data, highlight="score:prm")) == (
        "PRM, uncorrected solves 77.0 % of 131 problems (95 % interval 69.0–85.0)."
    )
    assert wording.headline(replace(data, table=())) == ""
