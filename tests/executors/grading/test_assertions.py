"""Which `check` suites are nothing but assertions, and what they ask."""

import pytest

from funprm.executors.grading.assertions import assertions, calls_source
from funprm.executors.grading.suites import PreparedSuite
from funprm.records import Status
from tests.executors.conftest import check

USAGE = (0.1, 0.2, 3.0)
PLAIN = [
    "assert candidate(1) == 2",
    "assert candidate(1, [2], k={'a': (1, None)}) == {1, 2}, 'why'",
    "'''text'''\nassert f(-1) == -1.5\npass\nassert True, 'this prints'",
    "assert candidate() is None",
]
NOT_PLAIN = [
    "pass",
    "x = candidate(1)\nassert x == 2",
    "assert candidate(1)",
    "assert not candidate(1)",
    "assert candidate(1) is True",
    "assert candidate(1) != 2",
    "assert 1 < candidate(1) < 2",
    "assert abs(candidate(1) - 2) < 1e-6",
    "assert candidate(x) == 2",
    "assert candidate(*[1]) == 2",
    "assert candidate(**{'a': 1}) == 2",
    "assert candidate(float('nan')) == 2",
    "assert candidate(1e999) == 2",
    "assert candidate(1) == candidate(2)",
    "assert other(1) == 2",
    "assert candidate(1) == 2, candidate(3)",
    "for i in range(3): assert candidate(1) == 2",
    "assert [candidate(1)] == [2]",
    f"assert candidate({'9' * 5000}) == 2",
]


@pytest.mark.parametrize("body", PLAIN)
def test_plain_assertions_are_found(body: str) -> None:
    code = "METADATA = {'author': 'x'}\n" + check(body).code
    assert len(assertions(code, "f")) == 1


@pytest.mark.parametrize("body", NOT_PLAIN)
def test_all_other_tests_run_as_they_are(body: str) -> None:
    assert assertions(check(body).code, "f") == ()


@pytest.mark.parametrize(
    "head", ["import math\n", "x = f()\n", "def g(): pass\n", "@g\n", "x = 1\nx += 1\n"]
)
def test_code_beside_check_is_not_left_out(head: str) -> None:
    assert assertions(head + check(PLAIN[0]).code, "f") == ()


def test_the_sandbox_gets_calls_only() -> None:
    suite = check("assert candidate(1, k=[2]) == 4711")
    assert calls_source(assertions(suite.code, "f")) == "[((1,), {'k': [2]})]"
    payload = PreparedSuite(suite, 1.0, compat=False).payload()
    assert (payload["kind"], "4711" in str(payload)) == ("calls", False)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("2\n[3]", Status.PASSED),
        ("2\n(3)", Status.WRONG_ANSWER),
        ("1", Status.WRONG_ANSWER),
        ("1\n!ZeroDivisionError", Status.WRONG_ANSWER),
        ("2\n!ZeroDivisionError", Status.RUNTIME_ERROR),
        ("2", Status.RUNTIME_ERROR),
        ("", Status.RUNTIME_ERROR),
        ("\n" * 1_000_000, Status.RUNTIME_ERROR),
    ],
)
def test_the_first_assertion_that_fails_decides(text: str, status: Status) -> None:
    suite = PreparedSuite(check("assert f(1) == 2.0\nassert f(2) == [3]"), 1.0, compat=False)
    result = suite.result(0, "output", text, USAGE)
    assert result.status is status, result


def test_a_wrong_answer_counts_before_the_time_is_over() -> None:
    suite = PreparedSuite(check("assert f(1) == 2\nassert f(2) == 3"), 1.0, compat=False)
    for text, status in (
        ("1\n", Status.WRONG_ANSWER),
        ("2\n", Status.TIME_LIMIT),
        ("", Status.TIME_LIMIT),
    ):
        assert suite.result(0, "time", text, USAGE).status is status
