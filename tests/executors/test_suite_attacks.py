"""Programs that try to pass `check` and `unittest` suites without solving anything.

Each is a file in `attacks/`, and says in its second line what it tries. The suites ask for values
that cannot be computed, so what passes has cheated.
"""

from pathlib import Path

import pytest

from funprm.records import Status, Suite
from tests.executors.conftest import Judge

ATTACKS = Path(__file__).parent / "attacks"
CHECK = Suite(
    kind="check",
    entry_point="f",
    prelude="class Node:\n    def __init__(self):\n        self.value = 0\n",
    code=(
        "def check(candidate):\n    assert candidate(1) == 42\n"
        "    assert abs(candidate(2) - 17) < 1, 'second'\n    assert candidate(2) == 17\n"
        "    assert candidate(3) == 99 and candidate(3) in (98, 99)\n"
    ),
    seconds=2.0,
    memory_mb=256,
)
UNITTEST = Suite(
    kind="unittest",
    code=(
        "import unittest\nclass TestCases(unittest.TestCase):\n"
        "    def test_case_1(self):\n        self.assertEqual(f(1), 42)\n"
        "    def test_case_2(self):\n        self.assertEqual(f(2), 17)\n"
        "    def test_case_3(self):\n        self.assertEqual([f(3)], [99])\n"
        "    def test_case_4(self):\n        with self.assertRaises(ValueError):\n            f('x')\n"
    ),
    seconds=5.0,
    memory_mb=256,
)
RIGHT = "def f(x):\n    if not isinstance(x, int):\n        raise ValueError\n    return {1: 42, 2: 17, 3: 99}[x]"


def attacks(kind: str) -> list[str]:
    return sorted(path.stem for path in ATTACKS.glob(f"{kind}_*.py"))


@pytest.mark.parametrize("name", [*attacks("check"), *attacks("unittest")])
def test_no_suite_is_passed_by_a_trick(judge: Judge, name: str) -> None:
    suite = CHECK if name.startswith("check") else UNITTEST
    verdict = judge((ATTACKS / f"{name}.py").read_text(), suite)
    assert verdict.passed is False, verdict
    good = judge(RIGHT, suite)
    assert good.status is Status.PASSED, good
