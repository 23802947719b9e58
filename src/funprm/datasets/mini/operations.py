"""What the mini benchmark's problems are composed of: operations, their right and wrong bodies.

An operation is one helper function of a program. Its body is kept twice: as source text, which
goes into reference programs and into the language model's corpus, and as a Python callable of
the same meaning, from which tests are computed without running any source text.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from funprm.records import Json

Run = Callable[[Json, int], Json]

CONSTANT = "{n}"
"""Stands for the operation's constant in phrasings and bodies."""

THRESHOLDS = (1, 2, 3, 4, 5, 6, 7, 8, 9)
SMALL = (2, 3, 4)
"""Constants that many operations have."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to write an operation's body.

    `run(value, n)` does what `body` says, `n` being the constant (0 where there is none).
    """

    body: str
    """Statements at indentation 0, with `{n}` for the constant."""
    run: Run

    def template(self) -> str:
        """The indented body with `{n}` left in, ending in a newline."""
        return "".join(f"    {line}\n" for line in self.body.splitlines())


@dataclass(frozen=True, slots=True)
class Operation:
    """One helper function: how statements ask for it, and how it is written rightly and wrongly."""

    name: str
    """Name of the function; unique in its family."""
    doc: str
    """What the function's docstring says."""
    phrasings: tuple[str, ...]
    """How a statement may ask for it, with `{n}` for the constant."""
    right: tuple[Variant, ...]
    """Correct bodies, the most usual first."""
    wrong: tuple[Variant, ...]
    """Plausible mistakes, the most usual first."""
    constants: tuple[int, ...] = (0,)
    """Values the constant may take, one digit each; (0,) where the operation has none."""


@dataclass(frozen=True, slots=True)
class Family:
    """Operations on one type of value; a problem is a chain of them and one reducer."""

    argument: str
    """Name of the argument of all functions."""
    openings: tuple[str, ...]
    """How a statement may begin."""
    operations: tuple[Operation, ...]
    reducers: tuple[Operation, ...]


def variant(body: str, run: Run) -> Variant:
    """A variant whose body is `return <body>` unless it already consists of statements."""
    return Variant(body if "return " in body else f"return {body}", run)


def running(values: Iterable[int]) -> list[int]:
    """Sums of all non-empty beginnings.

    >>> running([1, 2, 3])
    [1, 3, 6]
    """
    total, sums = 0, []
    for value in values:
        total += value
        sums.append(total)
    return sums
