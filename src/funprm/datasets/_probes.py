"""Inputs without answers: known inputs, and mutations of them that keep every value's type.

The mutations follow EvalPlus (arXiv 2305.01210, table 1), but stay near what is known, since
nothing says which inputs are allowed: numbers stay in the range that the known inputs span (one
more upwards), texts are made of their own words or characters, nothing becomes empty. On such
inputs candidates' answers are compared with one another (majority of outputs).

Known inputs are public ones alone. Where a mutation happens to be the input of a hidden test, it
is left out: no selector may look at what only hidden tests hold.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from funprm.datasets._docstring_examples import encode_arguments
from funprm.records import Case, Suite

PROBE_SECONDS = 1.0
"""CPU limit of a probe: a mutation may be outside the problem's domain and run forever."""
MAX_CHARACTERS = 2_000
"""Of one input; longer mutations are left out."""
_ATTEMPTS = 8
"""Mutations tried per wanted case; many repeat a known input."""

Item = TypeVar("Item")
Range = tuple[float, float]


def probe_cases(
    inputs: Sequence[Sequence[Any]],
    count: int,
    seed: str,
    *,
    hidden: Sequence[Sequence[Any]] = (),
) -> tuple[Case, ...]:
    r"""At most `count` distinct cases without outputs: the inputs first, then mutations of them.

    >>> [case.input for case in probe_cases([[1, "ab"]], 3, "seed")][0]
    '1\n"ab"'

    Args:
        inputs: lists of positional arguments that are public.
        count: how many cases are wanted; there may be fewer.
        seed: what the mutations depend on (besides the inputs).
        hidden: arguments of hidden tests, which no mutation may equal.
    """
    # A string seeds the generator the same way on every platform and Python version.
    generator = random.Random(seed)
    found: dict[str, list[Any]] = {}
    for known in inputs[:count]:
        _add(found, list(known))
    ranges = _ranges(found.values())
    refused = [plain(arguments) for arguments in hidden]
    for _ in range(_ATTEMPTS * count if found else 0):
        if len(found) >= count:
            break
        arguments = list(generator.choice(list(found.values())))
        place = generator.randrange(len(arguments))
        arguments[place] = _mutated(arguments[place], ranges.get(place, (0, 0)), generator)
        if arguments not in refused:
            _add(found, arguments)
    return tuple(Case(input=text) for text in islice(found, count))


def plain(value: Any) -> Any:  # noqa: ANN401  (any literal)
    """A literal with lists for its tuples, as JSON would give it back.

    >>> plain([(1, 2), {"a": (3,)}])
    [[1, 2], {'a': [3]}]
    """
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def probe_suite(suite: Suite, cases: tuple[Case, ...]) -> Suite | None:
    """A suite of probes with the settings of the hidden one; None: there are none."""
    if not cases:
        return None
    seconds = min(suite.seconds, PROBE_SECONDS)
    return replace(suite, kind="functional", cases=cases, seconds=seconds)


def _add(found: dict[str, list[Any]], arguments: list[Any]) -> None:
    text = encode_arguments(arguments, ())
    if text is not None and len(text) <= MAX_CHARACTERS:
        found.setdefault(text, arguments)


def _ranges(inputs: Iterable[Sequence[Any]]) -> dict[int, Range]:
    """Smallest and largest number in each argument, however deep."""
    ranges: dict[int, Range] = {}
    for arguments in inputs:
        for place, argument in enumerate(arguments):
            for number in _numbers(argument):
                low, high = ranges.get(place, (number, number))
                ranges[place] = (min(low, number), max(high, number))
    return ranges


def _numbers(value: Any) -> Iterator[float]:  # noqa: ANN401  (any JSON value)
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _mutated(value: Any, near: Range, generator: random.Random) -> Any:  # noqa: ANN401
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return generator.randint(math.ceil(near[0]), math.floor(near[1]) + 1)
    if isinstance(value, float):
        return round(generator.uniform(near[0], near[1] + 1), 2)
    if isinstance(value, str):
        separator = " " if " " in value.strip() else ""
        parts = value.split(" ") if separator else list(value)
        return separator.join(_rearranged(parts, generator))
    return _mutated_items(value, near, generator) if value else value


def _mutated_items(value: Any, near: Range, generator: random.Random) -> Any:  # noqa: ANN401
    """A list with items rearranged or one mutated; an object with one value mutated."""
    if isinstance(value, list) and generator.random() < 0.5:
        return _rearranged(value, generator)
    place = generator.choice(range(len(value)) if isinstance(value, list) else list(value))
    changed = value.copy()
    changed[place] = _mutated(value[place], near, generator)
    return changed


def _rearranged(items: list[Item], generator: random.Random) -> list[Item]:
    """The items with one removed, repeated, or replaced by another."""
    if not items:
        return items
    place = generator.randrange(len(items))
    item = items[place]
    options = [[item, item], [generator.choice(items)], *([[]] if len(items) > 1 else [])]
    return [*items[:place], *generator.choice(options), *items[place + 1 :]]
