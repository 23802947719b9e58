"""Answers that bring their own idea of equality, where tests share a process with the program.

Standard library only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_ATOMS = frozenset({int, float, str, bytes, bool, complex, type(None)})
_HEAP_TYPE = 1 << 9
_DEEPEST = 20
_flags_of = type.__dict__["__flags__"].__get__  # a metaclass may say something else


def own_equality(value: Any, trusted: Callable[[type], bool], depth: int = 0) -> frozenset[type]:
    """The classes in a value that define equality and are neither built in nor of a library.

    Args:
        value: an answer; lists, tuples, sets and dictionaries are looked into.
        trusted: says of other classes whether they may.
        depth: how deep in the answer this value stands.
    """
    kind = type(value)
    if kind in _ATOMS or depth > _DEEPEST:
        return frozenset()
    if kind in (list, tuple, set, frozenset, dict):
        parts = (*value, *value.values()) if kind is dict else value
        if _ATOMS.issuperset(map(type, parts)):
            return frozenset()
        return frozenset().union(*(own_equality(p, trusted, depth + 1) for p in parts))
    owner = next(c for c in type.mro(kind) if "__eq__" in vars(c))
    if not _flags_of(owner) & _HEAP_TYPE or _of_library(owner) or trusted(owner):
        return frozenset()
    return frozenset({owner})


def _of_library(owner: type) -> bool:
    module = sys.modules.get(owner.__module__)
    return module is not sys.modules["__main__"] and getattr(module, owner.__name__, 0) is owner
