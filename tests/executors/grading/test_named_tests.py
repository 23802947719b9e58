"""The tests of a suite, read from its source."""

import pytest

from funprm.executors.grading.named_tests import test_names as names_in  # not a test itself

HEAD = "import unittest\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "class TestCases(unittest.TestCase):\n    def test_a(self): 1\n    def setUp(self): 1",
            "a",
        ),
        ("class TestCases(unittest.TestCase):\n    async def test_a(self): 1", "a"),
        (
            "class B:\n    def test_b(self): 1\nclass A(B):\n    def test_a(self): 1\n"
            "class TestCases(A, unittest.TestCase):\n    pass",
            "ab",
        ),
        ("class Other(unittest.TestCase):\n    def test_a(self): 1", ""),
        (
            "class TestCases(unittest.TestCase):\n    @unittest.skip('no')\n    def test_a(self): 1\n"
            "    @unittest.skipIf(True, 'no')\n    def test_b(self): 1",
            "b",
        ),
        ("if True:\n    class TestCases(unittest.TestCase):\n        def test_a(self): 1", "a"),
        ("class TestCases(TestCases):\n    def test_a(self): 1", "a"),
        ("class TestCases(:", ""),
        ("x = '\0'", ""),
    ],
)
def test_names_are_those_of_the_class_and_its_bases(code: str, expected: str) -> None:
    assert names_in(HEAD + code) == {f"test_{letter}" for letter in expected}
