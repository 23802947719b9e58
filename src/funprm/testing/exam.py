"""What all exams have in common."""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping

Faults = Iterator[str]
"""Broken promises, one sentence each."""


def report(part: object, faults: Iterable[str]) -> None:
    """Raise an AssertionError that lists the faults, if there are any."""
    found = list(faults)
    if found:
        name = type(part).__name__
        listed = "".join(f"\n- {fault}" for fault in found)
        raise AssertionError(f"{name} breaks {len(found)} of its promises:{listed}")


def identity_faults(part: object) -> Faults:
    """`identity()` is JSON that is the same at each call; `transport` names options."""
    identity = getattr(part, "identity", None)
    if not callable(identity):
        yield "it has no method identity(), which says what determines its results"
        return
    first, second = identity(), identity()
    if not isinstance(first, Mapping):
        yield f"identity() returned {first!r}: expected a mapping of names to JSON values"
        return
    try:
        if json.dumps(dict(first), sort_keys=True) != json.dumps(dict(second), sort_keys=True):
            yield f"identity() changes between calls: {first!r}, then {second!r}"
    except (TypeError, ValueError) as error:
        yield f"identity() cannot be written as JSON ({error}): {first!r}"
    options = inspect.signature(type(part)).parameters
    for name in sorted(set(getattr(part, "transport", ())) - set(options)):
        yield f"transport names {name!r}, which is no argument of the constructor"
