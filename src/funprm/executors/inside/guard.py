"""Whether a program that shares a process with tests replaced what they rely on.

Standard library only.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

from funprm.executors.inside.failures import TamperingError

Place = tuple[str, dict[str, Any], list[tuple[str, Any, Any]], int]


class Guard:
    """The functions and classes that were there before, to be compared with what is there later."""

    def __init__(self, places: Iterable[tuple[str, Any]]) -> None:
        """Note what modules and classes hold."""
        self._places: list[Place] = []
        self.add(places)

    def add(self, places: Iterable[tuple[str, Any]], *, closed: bool = False) -> None:
        """Note more; what is `closed` may get no new names either."""
        for name, place in places:
            now = place if isinstance(place, dict) else vars(place)
            before = [(k, v, _code(v)) for k, v in list(now.items()) if is_function(v)]
            self._places.append((name, now, before, len(now) if closed else -1))

    def check(self, missing: object = object()) -> None:
        """Compare. No name is used here that a program could put into this module.

        Raises:
            TamperingError: something was replaced.
        """
        for name, now, before, size in self._places:
            if size >= 0 and now.__len__() != size:
                raise TamperingError(f"the program changed {name}, which tests rely on")
            for key, value, code in before:
                same = now.get(key, missing) is value
                if not same or (code is not None and value.__code__ is not code):
                    raise TamperingError(f"the program changed {name}.{key}, which tests rely on")


def is_function(value: Any) -> bool:
    """Whether a value is a function, a class or a descriptor of one."""
    return callable(value) or isinstance(value, staticmethod | classmethod | property)


def _code(value: Any) -> Any:
    return value.__code__ if type(value) is types.FunctionType else None
