"""What a call changed in the objects that it was given. Standard library only."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterable
from typing import Any


class Snapshot:
    """What objects hold, to be compared with what they hold later."""

    def __init__(self, objects: Iterable[tuple[int, Any]]) -> None:
        """Note the contents of numbered objects that can change."""
        self._before = [(number, value, _contents(value)) for number, value in objects]

    def changed(self) -> list[int]:
        """Numbers of the objects that hold something else now."""
        return [number for number, value, before in self._before if not _same(value, before)]


def _contents(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | set | bytearray | deque):
        return list(value)
    attributes = attributes_of(value)
    return [*attributes.keys(), *attributes.values()]


def _same(value: Any, before: list[Any]) -> bool:
    now = _contents(value)
    return len(now) == len(before) and all(map(operator.is_, now, before))


def attributes_of(value: Any) -> dict[str, Any]:
    """The attributes of an instance, those in slots included."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found
