import doctest
from textwrap import dedent

import pytest

from funprm.evaluation import quality
from funprm.evaluation.quality import Quality, cyclomatic_complexity, quality_of
from funprm.python_source import parsed

PARTED = '''
"""Sums of squares."""
import math


def square(x):
    """x times x."""
    return x * x  # not x ** 2


def total(xs):
    # A comment.
    return sum(square(x) for x in xs if square(x) > 1)


def never(x):
    return never(x - 1)


if __name__ == "__main__":
    print(total(map(int, input().split())))
'''
PLAIN = """
n = int(input())
for i in range(n):
    if i % 2:
        for j in range(i):
            print(i, j)
    elif i > 5 and n > 3:
        print(i)
"""


def measured(code: str) -> Quality:
    found = quality_of(dedent(code))
    assert found is not None
    return found


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(quality).failed == 0


def test_a_program_in_functions() -> None:
    assert measured(PARTED) == Quality(
        lines=9,
        functions=3,
        longest=2,
        complexity=3,
        nesting=1,
        documented=1 / 3,
        reused=1,
        dead=0,
        importable=1.0,
    )


def test_a_program_without_functions() -> None:
    assert measured(PLAIN) == Quality(
        lines=7,
        functions=0,
        longest=7,
        complexity=6,
        nesting=3,
        documented=None,
        reused=0,
        dead=0,
        importable=0.0,
    )


def test_docstrings_and_comments_change_nothing_else() -> None:
    bare = measured(
        """
        def f(x):
            if x:
                return 1
            return g(x) + g(0)

        def g(x):
            pass
        """
    )
    praised = measured(
        '''
        """The best program."""
        # It is right.
        def f(x):
            """Right, and fast."""
            if x:

                return 1  # surely
            return g(x) + g(0)

        def g(x):
            """Right, too."""
        '''
    )
    assert praised.documented == 1.0
    assert bare.documented == 0.0
    fields = [name for name in Quality.__slots__ if name != "documented"]
    assert [getattr(bare, n) for n in fields] == [getattr(praised, n) for n in fields]


def test_dead_functions_are_those_that_nothing_refers_to() -> None:
    library = (
        "def solve(x):\n    return helper(x)\ndef helper(x):\n    return x\ndef old():\n    pass\n"
    )
    assert measured(library).dead == 1  # one of two is taken for the entry point
    assert measured(library + "print(solve(1))\n").dead == 1
    methods = "    def f(self):\n        return self.g()\n    def g(self):\n        pass\n"
    assert measured(f"class Solution:\n{methods}").dead == 0
    assert measured("def f():\n    return map(g, [])\ndef g():\n    pass\n").dead == 0


@pytest.mark.parametrize(
    ("code", "complexity"),
    [
        ("pass", 1),
        ("a if b else c", 2),
        ("for x in y:\n    pass\nelse:\n    pass", 3),
        ("try:\n    pass\nexcept A:\n    pass\nexcept B:\n    pass\nelse:\n    pass", 4),
        ("[x for x in y if x if not x]", 4),
        ("a and b and c or d", 4),
        ("match x:\n    case 1:\n        pass\n    case _:\n        pass", 2),
        ("assert x", 1),
        ("with x:\n    pass", 1),
    ],
)
def test_complexity_counts_decisions(code: str, complexity: int) -> None:
    assert cyclomatic_complexity(parsed(code)) == complexity


def test_what_is_no_program_has_no_quality() -> None:
    assert quality_of("def f(:") is None
    assert quality_of("") is None
    assert quality_of('"""Only a docstring."""') is not None
