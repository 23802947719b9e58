import doctest

from funprm.formats import programs, reading


def test_the_examples_in_the_docstrings_run() -> None:
    for module in (programs, reading):
        assert doctest.testmod(module).failed == 0
