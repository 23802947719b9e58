"""Courses: what a search asks for, in turn.

A course is a generator. It yields the parts that it wants next, is sent their nodes, and returns
complete programs. So a strategy is a few lines that know nothing of policies, files or money, and
courses of many problems go on together: their parts share the policy's batches.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Protocol, TypeVar

from funprm.records import Problem
from funprm.search.parts import Part
from funprm.search.records import Node

T = TypeVar("T")

Answers = Sequence[Node | None]
"""One per part that was asked for, in order; None: there is none, and will be none."""
Asking = Generator[Sequence[Part], Answers, T]
"""Yields the parts that are wanted next, is sent their nodes, returns a T."""
Course = Asking[list[Node]]
"""Returns the complete programs of one problem."""


class Strategy(Protocol):
    """What a course comes from."""

    @property
    def needs_scores(self) -> bool:
        """Whether nodes are to be scored."""
        ...

    @property
    def uses_tests(self) -> bool:
        """Whether public tests are to be run on complete programs."""
        ...

    def course(self, problems: Sequence[Problem]) -> Asking[list[list[Node]]]:
        """The course of several problems; returns complete programs, per problem."""
        ...


def together(courses: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Several courses as one: what they ask for is asked for at once.

    Returns:
        What they return, in order.
    """
    results: dict[int, T] = {}
    waiting: dict[int, Sequence[Part]] = {}

    def go_on(number: int, answers: Answers | None) -> None:
        waiting.pop(number, None)
        try:
            waiting[number] = courses[number].send(answers)  # type: ignore[arg-type]
        except StopIteration as end:
            results[number] = end.value

    for number in range(len(courses)):
        go_on(number, None)
    while waiting:
        asked = list(waiting.items())
        answers = iter((yield [part for _, parts in asked for part in parts]))
        for number, parts in asked:
            go_on(number, [next(answers) for _ in parts])
    return [results[number] for number in range(len(courses))]


def complete(answers: Answers) -> list[Node]:
    """The nodes that are programs."""
    return [node for node in answers if node is not None and node.complete]


def open_ones(answers: Answers) -> list[Node]:
    """The nodes that go on."""
    return [node for node in answers if node is not None and node.goes_on]


def shares(total: int, parts: int) -> Iterator[int]:
    """A number in equal parts; the first ones get what is left over.

    >>> list(shares(8, 3))
    [3, 3, 2]
    """
    for number in range(parts):
        yield total // parts + (number < total % parts)
