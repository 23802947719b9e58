"""Pipelines: what a problem of the mini benchmark is before it becomes text and tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from funprm.datasets.mini.integers import INTEGERS
from funprm.datasets.mini.operations import CONSTANT, Family, Operation, Variant
from funprm.datasets.mini.streams import Stream, fraction
from funprm.datasets.mini.text import TEXT
from funprm.records import Json

Home = Literal["corpus", "train", "meta", "validation", "test"]

FAMILIES = (INTEGERS, TEXT)
_FAMILY_WEIGHTS = (0.85, 0.15)
_LENGTHS = (2, 3, 4, 5)
_LENGTH_WEIGHTS = (0.3, 0.35, 0.23, 0.12)

_HELD_OUT = 0.25
"""Share of compositions that only test problems have."""
_HOMES: tuple[tuple[Home, float], ...] = (
    ("corpus", 0.5),
    ("train", 0.8),
    ("meta", 0.9),
    ("validation", 1.0),
)
"""Upper bounds of the fractions that send a problem with another composition to its home."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A chain of operations with their constants, and the wording of its statement."""

    family: Family
    operations: tuple[Operation, ...]
    """Two to five, the last one a reducer."""
    constants: tuple[int, ...]
    opening: int
    phrasings: tuple[int, ...]

    @property
    def composition(self) -> str:
        """The operations in order, without constants."""
        return " ".join((self.family.argument, *(op.name for op in self.operations)))

    @property
    def identity(self) -> str:
        """What makes two pipelines the same problem: everything but the wording."""
        return f"{self.composition} {self.constants}"

    @property
    def home(self) -> Home:
        """The only place where this problem may occur: the corpus, or one split.

        Whole compositions are held out for `test`; the rest is dealt by problem.
        """
        if fraction(f"composition {self.composition}") < _HELD_OUT:
            return "test"
        place = fraction(f"problem {self.identity}")
        return next(home for home, bound in _HOMES if place < bound)

    def statement(self) -> str:
        """The problem in English, one sentence per operation."""
        sentences = (
            op.phrasings[chosen].replace(CONSTANT, str(n))
            for op, chosen, n in zip(self.operations, self.phrasings, self.constants, strict=True)
        )
        return ". ".join((self.family.openings[self.opening], *sentences)) + "."

    def program(self, bodies: Sequence[Variant]) -> str:
        """The program in Chain-of-Function form with one given body per operation."""
        argument = self.family.argument
        *operations, reducer = self.operations
        text = solve_header(argument, reducer)
        text += "".join(call(argument, op) for op in operations) + final_call(argument, reducer)
        for op, body, n in zip(self.operations, bodies, self.constants, strict=True):
            text += helper_header(argument, op) + body.template().replace(CONSTANT, str(n))
        return text

    def reference(self) -> tuple[Variant, ...]:
        """The first correct body of every operation."""
        return tuple(op.right[0] for op in self.operations)

    def run(self, value: Json, bodies: Sequence[Variant]) -> Json:
        """What the program with these bodies returns for the argument `value`."""
        for body, n in zip(bodies, self.constants, strict=True):
            value = body.run(value, n)
        return value


def solve_header(argument: str, reducer: Operation) -> str:
    """First lines of `solve`; the docstring states the strategy."""
    goal = reducer.doc[0].lower() + reducer.doc[1:]
    return f'def solve({argument}):\n    """Apply the operations in order, then {goal}"""\n'


def call(argument: str, operation: Operation) -> str:
    """The line of `solve` that applies an operation."""
    return f"    {argument} = {operation.name}({argument})\n"


def final_call(argument: str, reducer: Operation) -> str:
    """The last line of `solve`."""
    return f"    return {reducer.name}({argument})\n"


def helper_header(argument: str, operation: Operation) -> str:
    """Two blank lines and the first lines of an operation's function."""
    return f'\n\ndef {operation.name}({argument}):\n    """{operation.doc}"""\n'


def draw(stream: Stream) -> Pipeline:
    """A random pipeline of two to five different operations."""
    family = stream.weighted(FAMILIES, _FAMILY_WEIGHTS)
    length = stream.weighted(_LENGTHS, _LENGTH_WEIGHTS)
    operations = (*stream.sample(family.operations, length - 1), stream.pick(family.reducers))
    return Pipeline(
        family=family,
        operations=operations,
        constants=tuple(stream.pick(op.constants) for op in operations),
        opening=stream.below(len(family.openings)),
        phrasings=tuple(stream.below(len(op.phrasings)) for op in operations),
    )
