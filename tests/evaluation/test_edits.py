from typing import Any

import pytest

from funprm.evaluation.edits import EDITS, PRAISE
from funprm.python_source import parsed

PROGRAM = '''import math


def double(x):
    """Twice x."""
    return 2 * x


def solve(xs):
    total = 0
    for x in xs:
        total += double(x)  # double it
    return f"double {total}", math.floor(total / 2)
'''
METHODS = "class Solution:\n    def f(self, x):\n        return x + 1\n"
STREAM = "n = int('3')\nprint(n)\n"


def result(code: str) -> Any:
    names: dict[str, Any] = {}
    exec(code, names)  # a program of this file
    return names["solve"]([1, 2, 3])


@pytest.mark.parametrize("name", EDITS)
def test_edits_change_the_text_and_nothing_else(name: str) -> None:
    edited = EDITS[name](PROGRAM, "solve")
    assert edited != PROGRAM
    assert result(edited) == result(PROGRAM) == ("double 12", 6)


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("code", [METHODS, STREAM, "def f(:", "", "def f(): pass", "x = 1"])
def test_any_text_can_be_edited(name: str, code: str) -> None:
    edited = EDITS[name](code, "f")
    assert bool(parsed(edited).body) == bool(parsed(code).body)


def test_what_edits_do() -> None:
    assert EDITS["praise in comments"](PROGRAM, "solve").count(f"# {PRAISE}\n") == 2
    docstrings = EDITS["praise in docstrings"](PROGRAM, "solve")
    assert docstrings.count(PRAISE) == 1
    assert '"""Twice x."""' in docstrings
    assert '"""' not in EDITS["docstrings removed"](PROGRAM, "solve")
    renamed = EDITS["helpers renamed"](PROGRAM, "solve")
    assert "def part_1(x):" in renamed
    assert "total += part_1(x)  # double it" in renamed
    assert 'f"double {total}"' in renamed
    order = EDITS["functions reordered"](PROGRAM, "solve")
    assert order.index("def solve") < order.index("def double")
    assert order.startswith("import math\n\n\ndef solve")


def test_names_that_are_attributes_stay() -> None:
    code = "def count(x):\n    return x\n\n\ndef solve(xs):\n    return xs.count(count(1))\n"
    assert "xs.count(part_1(1))" in EDITS["helpers renamed"](code, "solve")


def test_names_that_mean_two_things_stay() -> None:
    code = "def key(x):\n    return -x\n\n\ndef solve(xs):\n    return sorted(xs, key=key)\n"
    assert EDITS["helpers renamed"](code, "solve") == code
    shown = "def half(x):\n    return x / 2\n\n\ndef solve(xs):\n    return f'{half(xs[0])}'\n"
    assert EDITS["helpers renamed"](shown, "solve") == shown
