"""Inputs without answers: known inputs, and mutations of them that keep every value's type.

The mutations follow EvalPlus (arXiv 2305.01210, table 1). On such inputs candidates' answers are
compared with one another (majority of outputs).
"""

import random
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from funprm.datasets.examples import encode_arguments
from funprm.records import Case

_MAX_CHARACTERS = 2_000
"""Of one input; longer mutations are left out."""


def probe_cases(inputs: Sequence[Sequence[Any]], count: int, seed: str) -> tuple[Case, ...]:
    r"""At most `count` distinct cases without outputs: the inputs first, then mutations of them.

    >>> [case.input for case in probe_cases([[1, "ab"]], 3, "seed")][0]
    '1\n"ab"'

    Args:
        inputs: lists of positional arguments.
        count: how many cases are wanted.
        seed: what the mutations depend on (besides the inputs).
    """
    # A string seeds the generator the same way on every platform and Python version.
    generator = random.Random(seed)
    pool = [list(arguments) for arguments in inputs]
    found: dict[str, list[Any]] = {}
    for arguments in pool[:count]:
        _add(found, arguments)
    for _ in range(8 * count if found else 0):
        if len(found) >= count:
            break
        arguments = list(generator.choice(list(found.values())))
        place = generator.randrange(len(arguments))
        arguments[place] = _mutated(arguments[place], generator)
        _add(found, arguments)
    return tuple(Case(input=text) for text in islice(found, count))


def _add(found: dict[str, list[Any]], arguments: list[Any]) -> None:
    text = encode_arguments(arguments, ())
    if text is not None and len(text) <= _MAX_CHARACTERS:
        found.setdefault(text, arguments)


def _mutated(value: Any, generator: random.Random) -> Any:  # noqa: ANN401  (any JSON value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return generator.choice([value - 1, value + 1, value * 2, -value, 0])
    if isinstance(value, float):
        return generator.choice([value - 1, value + 1, value / 2, -value, 0.0])
    if isinstance(value, str):
        return "".join(_mutated_items(list(value), generator, str.swapcase))
    if isinstance(value, list):
        return _mutated_items(value, generator, lambda item: _mutated(item, generator))
    if isinstance(value, dict) and value:
        key = generator.choice(list(value))
        return {**value, key: _mutated(value[key], generator)}
    return value


def _mutated_items(
    items: list[Any], generator: random.Random, mutate: Callable[[Any], Any]
) -> list[Any]:
    """The items with one removed, repeated, replaced by another, or mutated itself."""
    if not items:
        return items
    place = generator.randrange(len(items))
    item = items[place]
    replacement: list[Any] = generator.choice(
        [[], [item, item], [generator.choice(items)], [mutate(item)]]
    )
    return [*items[:place], *replacement, *items[place + 1 :]]
