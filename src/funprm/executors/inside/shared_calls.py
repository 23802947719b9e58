"""Whether a call of a program's function left anything of its own that later calls could see.

Where `stateless` has proven that a program reaches nothing but itself, the cases of a `functional`
suite share a process as long as this module finds nothing changed after a call. Only what plain
Python keeps is looked at: global names, default arguments, closures, attributes of functions and
classes, and the plain data in all of them; whatever else is there counts as changed. Caches
of functions are emptied. Standard library only.
"""

from __future__ import annotations

import functools
import marshal
import operator
import re
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from funprm.executors.inside.stateless import HEAP_TYPE, Library, Proof, dict_of, flags_of

_is = operator.is_  # ours, whatever a program makes of the module
_ATOMS = (int, float, str, bytes, bool, complex, type(None), type(Ellipsis), range)
_SKIPPED = ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__")
_CACHE = type(functools.lru_cache(int))


class State:
    """A snapshot of a namespace, to be compared with what it becomes.

    Objects are held, not just their ids: a freed object's address may be used again.
    """

    def __init__(self, proof: Proof, namespace: Mapping[str, Any], names: Iterable[str]) -> None:
        """Take the snapshot.

        Args:
            proof: what the program reaches.
            namespace: the program's global names.
            names: those that its top level may have bound.
        """
        self._library = Library(proof)
        self._namespace = namespace
        self._bindings = list(namespace.values())
        self._roots = [namespace[n] for n in names if n in namespace]
        self._before = None if proof.uses("random") else self._look()
        self._fixed = not proof.stores and not proof.rebinds

    def _look(self) -> _Walk | None:
        found = _Walk()
        try:
            for value in self._roots:
                found.visit(value)
        except (ValueError, RecursionError):  # something that is neither code nor plain data
            return None
        return found

    def unchanged(self) -> bool:
        """True if nothing was left behind; False if something was, or may have been."""
        before = self._before
        if before is None or not self._library.unchanged():
            return False
        for cache in before.caches:
            _CACHE.cache_clear(cache)
        if self._fixed and not before.data and not before.closures:
            return True  # there is nothing that could change
        if not _same(self._bindings, list(self._namespace.values())):
            return False
        after = self._look()
        return (
            after is not None and after.data == before.data and _same(before.objects, after.objects)
        )


def _same(before: list[Any], after: list[Any]) -> bool:
    return len(before) == len(after) and all(map(_is, before, after))


class _Walk:
    """Collects the objects and the data that can change which some values consist of."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.data: list[bytes] = []
        self.caches: list[Any] = []
        self.closures = False
        self._seen: set[int] = set()

    def visit(self, value: Any) -> None:
        """Add one value with all that hangs on it.

        Raises:
            ValueError: it holds something whose changes cannot be seen.
        """
        kind = type(value)
        self.objects.append(value)
        if kind in _ATOMS or kind is types.ModuleType or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if kind is types.FunctionType:
            self._visit_function(value)
        elif isinstance(value, type):
            self._visit_class(value)
        elif kind is _CACHE:
            self.caches.append(value)
            self._visit_attributes({**value.__dict__, "": value.__wrapped__})
        elif kind in _PARTS:
            for name in _PARTS[kind]:
                self.visit(getattr(value, name, None))
        elif kind not in _INERT:
            self._add(value)

    def _add(self, value: Any) -> None:
        data = marshal.dumps(value, 2)
        if not _is_frozen(value):
            self.data.append(data)

    def _visit_attributes(self, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            if name != "__wrapped__":
                self.objects.append(name)
                self.visit(value)

    def _visit_function(self, value: types.FunctionType) -> None:
        self.objects.append(value.__code__)
        self._visit_attributes(value.__dict__)
        for default in (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()):
            self.visit(default)
        for cell in value.__closure__ or ():
            self.closures = True
            self.visit(cell.cell_contents)

    def _visit_class(self, value: type) -> None:
        home = vars(sys.modules.get(value.__module__, sys))
        if not flags_of(value) & HEAP_TYPE or home.get(value.__name__) is value:
            if value.__module__ != "solution":
                return  # it cannot be changed, or `Library` has it
        if type(value) is not type:
            self.visit(type(value))
        for name, part in dict_of(value).items():
            if name not in _SKIPPED:
                self.objects.append(name)
                self.visit(part)


_HINTS = (
    list[int],
    int | str,
    vars(typing)["List"],
    vars(typing)["List"][int],
    vars(typing)["Any"],
)
_TYPES = frozenset(map(type, _HINTS)) - {type}
_PARTS: dict[type, tuple[str, ...]] = {
    types.BuiltinFunctionType: ("__self__",),
    types.MethodType: ("__self__", "__func__"),
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    **dict.fromkeys(_TYPES, ("__args__",)),
    functools.cached_property: ("func",),
}
_INERT = (re.Pattern, re.Match, typing.TypeVar)


def _is_frozen(value: Any) -> bool:
    if type(value) in (tuple, frozenset):
        return all(map(_is_frozen, value))
    return type(value) in _ATOMS
