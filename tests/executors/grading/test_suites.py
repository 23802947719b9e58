"""What a prepared suite says of reports, without any process."""

import pytest

from funprm.executors.grading.suites import PreparedSuite
from funprm.records import Status
from tests.executors.conftest import check, functional, stdin, unittests

USAGE = (0.1, 0.2, 3.0)


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_a_functional_input_may_end_in_newlines(ending: str) -> None:
    suite = PreparedSuite(functional((f"[1]\n2{ending}", "3")), 1.0, compat=False)
    assert suite.fault == ""
    assert suite.payload()["inputs"] == ["[[1],2]"]


@pytest.mark.parametrize(
    "case", [("1\n", ""), ("1\n", "[1"), ("", "1"), ("1\n\n2", "1"), ("1,2", "1")]
)
def test_values_that_are_none_are_a_fault_of_the_suite(case: tuple[str, str]) -> None:
    fault = PreparedSuite(functional(("1", "1"), case), 1.0, compat=False).fault
    assert "of case 1 is not one JSON value per line" in fault


def test_inputs_on_streams_stay_as_they_are() -> None:
    suite = PreparedSuite(stdin(("1\n\n", "3")), 1.0, compat=False)
    assert suite.payload()["inputs"] == ["1\n\n"]


def test_a_failed_assertion_is_a_wrong_answer_and_an_exception_an_error() -> None:
    suite = PreparedSuite(check("assert candidate(1)"), 1.0, compat=False)
    assert suite.result(0, "wrong", "AssertionError", USAGE).status is Status.WRONG_ANSWER
    assert suite.result(0, "error", "ZeroDivisionError", USAGE).status is Status.RUNTIME_ERROR
    assert suite.result(0, "output", "[]", USAGE).status is Status.PASSED
    assert suite.result(0, "output", '["note"]', USAGE).detail == "note"


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ('["test_a", "test_b"]', Status.PASSED),
        ('["test_b", "test_a", "test_made"]', Status.PASSED),
        ('["test_a"]', Status.WRONG_ANSWER),
        ("[]", Status.WRONG_ANSWER),
        ('["test_c", "test_d"]', Status.WRONG_ANSWER),
    ],
)
def test_every_test_of_a_suite_must_be_reported(told: str, status: Status) -> None:
    code = "def test_a(self): 1\ndef test_b(self): 1"
    suite = PreparedSuite(unittests(code), 1.0, compat=False)
    assert suite.result(0, "output", told, USAGE).status is status


def test_a_suite_without_tests_passes_only_officially() -> None:
    for compat, status in ((False, Status.WRONG_ANSWER), (True, Status.PASSED)):
        suite = PreparedSuite(unittests("pass"), 1.0, compat=compat)
        assert suite.result(0, "output", "[]", USAGE).status is status


def test_equal_answers_have_the_digest_of_what_is_expected() -> None:
    suite = PreparedSuite(functional(("1", "[1, 2.0]"), ("1", None)), 1.0, compat=False)
    results = [suite.result(0, "output", text, USAGE) for text in ("[1, 2.0]", "[1.0, 2]")]
    results.append(suite.result(1, "output", "[1, 2]", USAGE))
    assert {r.status for r in results} == {Status.PASSED}
    assert len({r.digest for r in results}) == 1


@pytest.mark.parametrize("text", ["[1", "", "[" * 100_000])
def test_an_answer_that_is_no_value_is_wrong_and_has_no_digest(text: str) -> None:
    suite = PreparedSuite(functional(("1", "[1]"), ("1", None)), 1.0, compat=False)
    for index in (0, 1):
        result = suite.result(index, "output", text, USAGE)
        assert (result.status, result.digest) == (Status.WRONG_ANSWER, "")


def test_an_opaque_answer_equals_nothing_but_counts_where_nothing_is_compared() -> None:
    suite = PreparedSuite(functional(("1", "[1]"), ("1", None)), 1.0, compat=False)
    compared, free = (suite.result(i, "opaque", "set {1}", USAGE) for i in (0, 1))
    assert (compared.status, free.status) == (Status.WRONG_ANSWER, Status.PASSED)
    assert compared.digest == free.digest != ""
