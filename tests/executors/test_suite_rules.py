"""What `check` and `unittest` suites say of programs that are honest."""

import pytest

from funprm.records import Status, Suite
from tests.executors.conftest import Judge, check, unittests

ASSERTION = check("assert candidate(1) == 2, 'first'")
CHECKED = {
    "right": ("def f(x): return x + 1", Status.PASSED),
    "wrong": ("def f(x): return x", Status.WRONG_ANSWER),
    "nothing": ("def f(x): pass", Status.WRONG_ANSWER),
    "error": ("def f(x): return 1 / 0", Status.RUNTIME_ERROR),
    "own assertion": ("def f(x): assert x == 2", Status.RUNTIME_ERROR),
    "no function": ("g = 1", Status.RUNTIME_ERROR),
    "no Python": ("def f(", Status.RUNTIME_ERROR),
    "exit": ("def f(x): raise SystemExit(0)", Status.RUNTIME_ERROR),
    "hard exit": ("import os\ndef f(x): os._exit(0)", Status.RUNTIME_ERROR),
    "crash": ("import ctypes\ndef f(x): ctypes.string_at(0)", Status.RUNTIME_ERROR),
    "loop": ("def f(x):\n    while True: pass", Status.TIME_LIMIT),
    "memory": ("def f(x): return bytearray(6 << 30)", Status.MEMORY_LIMIT),
}


@pytest.mark.parametrize("name", CHECKED)
def test_what_a_check_suite_says(judge: Judge, name: str) -> None:
    code, status = CHECKED[name]
    verdict = judge(code, ASSERTION)
    assert verdict.status is status, verdict


def test_an_answer_that_tests_can_do_nothing_with_is_wrong(judge: Judge) -> None:
    suite = check("assert abs(candidate(1) - 2) < 1e-6")
    verdict = judge("def f(x): return None", suite)
    assert verdict.status is Status.WRONG_ANSWER
    assert "TypeError" in verdict.detail
    assert "assert abs(candidate(1) - 2) < 1e-6" in verdict.detail


def test_the_memory_of_the_program_is_told(judge: Judge) -> None:
    verdict = judge("def f(x):\n    y = bytearray(b'1' * (60 << 20))\n    return x + 1", ASSERTION)
    assert verdict.status is Status.PASSED
    assert verdict.results[0].memory_mb > 50


def test_the_time_of_the_programs_process_is_limited(judge: Judge) -> None:
    verdict = judge("def f(x):\n    while True: pass", ASSERTION)
    assert verdict.status is Status.TIME_LIMIT
    assert verdict.results[0].cpu < 10  # of a second, stretched by the slowdown; else for ever


def test_the_first_wrong_answer_decides_even_if_a_later_call_never_ends(judge: Judge) -> None:
    suite = check("assert candidate(1) == 2\nassert candidate(2) == 3")
    code = "def f(x):\n    while x == 2: pass\n    return x"
    assert judge(code, suite).status is Status.WRONG_ANSWER
    assert judge(code.replace("return x", "return x + 1"), suite).status is Status.TIME_LIMIT


def test_assertions_in_texts_see_the_names_of_the_program(judge: Judge) -> None:
    code = "import math\n\ndef f(x): return math.floor(x)"
    for tests in (["assert candidate(2.5) == math.floor(2.5)"], ["", "assert math.pi > 3"]):
        suite = check(f"for test in {tests!r}: exec(test, {{**globals(), 'candidate': candidate}})")
        assert judge(code, suite).passed, tests
        assert not judge("def f(x): return 2", suite).passed, tests


FOREIGN = check("assert candidate(lambda x: x + 1, 1) == 2")


def test_tests_share_a_process_only_if_they_must_and_the_verdict_says_so(judge: Judge) -> None:
    code = "def f(g, x): return g(x)"
    assert judge(code, check("assert candidate(abs, -2) == 2")).detail == ""
    verdict = judge(code, FOREIGN)
    assert verdict.status is Status.PASSED, verdict
    assert "shared" in verdict.detail
    odd = "class E:\n    def __eq__(s, o): return True\ndef f(*a): return E()"
    assert judge(odd, FOREIGN).passed is False
    assert judge("def f(g, x): return g(x) + 1", FOREIGN).status is Status.WRONG_ANSWER
    assert judge("def f(g, x): return 1 / 0", FOREIGN).status is Status.RUNTIME_ERROR
    returned = judge("def f(x): return lambda: 0", check("assert callable(candidate(1))"))
    assert (returned.status, returned.detail) == (Status.PASSED, "")


UNITTESTS = {
    "right": ("def test_a(self): self.assertEqual(f(1), 2)", Status.PASSED),
    "failure": ("def test_a(self): self.assertEqual(f(1), 3)", Status.WRONG_ANSWER),
    "error": ("def test_a(self): f('x', 1)", Status.RUNTIME_ERROR),
    "error of tests": ("def test_a(self): nothing()", Status.RUNTIME_ERROR),
    "subtest": (
        "def test_a(self):\n    for x in (1, 2):\n        with self.subTest(x):\n"
        "            self.assertEqual(f(x), 2)",
        Status.WRONG_ANSWER,
    ),
    "subtests": (
        "def test_a(self):\n    for x in (1, 2):\n        with self.subTest(x):\n"
        "            self.assertEqual(f(x), x + 1)",
        Status.PASSED,
    ),
    "expected failure": (
        "@unittest.expectedFailure\ndef test_a(self): self.assertEqual(f(1), 3)",
        Status.PASSED,
    ),
    "unexpected success": (
        "@unittest.expectedFailure\ndef test_a(self): self.assertEqual(f(1), 2)",
        Status.WRONG_ANSWER,
    ),
    "always skipped": (
        "@unittest.skip('no')\ndef test_a(self): 1 / 0\ndef test_b(self): pass",
        Status.PASSED,
    ),
    "skipped": (
        "def test_a(self): self.skipTest('no')\ndef test_b(self): pass",
        Status.WRONG_ANSWER,
    ),
    "none": ("x = 1", Status.WRONG_ANSWER),
    "fixtures": (
        "@classmethod\ndef setUpClass(cls): cls.x = 1\ndef setUp(self): self.y = 1\n"
        "def test_a(self): self.assertEqual(f(self.x), self.y + 1)\n"
        "def tearDown(self): self.x += 1",
        Status.PASSED,
    ),
    "mocks": (
        "from unittest.mock import patch\n@patch('builtins.print')\n@patch('os.getcwd')\n"
        "def test_a(self, cwd, show):\n    cwd.return_value = 'here'\n    import os\n"
        "    print(os.getcwd())\n    show.assert_called_with('here')\n    self.assertEqual(f(1), 2)",
        Status.PASSED,
    ),
    "any": (
        "def test_a(self):\n    from unittest.mock import ANY\n    self.assertEqual(f(1), ANY)",
        Status.PASSED,
    ),
}


@pytest.mark.parametrize("name", UNITTESTS)
def test_what_a_unittest_suite_says(judge: Judge, name: str) -> None:
    body, status = UNITTESTS[name]
    verdict = judge("import os\ndef f(x): return x + 1", unittests(body))
    assert verdict.status is status, verdict


def test_tests_may_compare_objects_of_the_program_with_each_other(judge: Judge) -> None:
    code = (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f(x): return P(x)"
    )
    assert judge(code, unittests("def test_a(self): self.assertEqual(f(1), P(1))")).passed
    assert not judge(code, unittests("def test_a(self): self.assertEqual(f(1), P(2))")).passed


def test_test_cases_may_have_bases_of_their_own_and_be_asynchronous(judge: Judge) -> None:
    code = (
        "import unittest\nclass Base(unittest.TestCase):\n    def test_a(self):\n"
        "        self.assertEqual(f(1), 2)\nclass TestCases(Base, unittest.IsolatedAsyncioTestCase):\n"
        "    async def test_b(self):\n        self.assertEqual(f(2), 3)\n"
    )
    suite = Suite(kind="unittest", code=code, seconds=20.0)
    assert judge("def f(x): return x + 1", suite).status is Status.PASSED
    assert judge("def f(x): return 2", suite).status is Status.WRONG_ANSWER
