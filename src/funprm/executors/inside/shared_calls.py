"""Whether calls of a program's functions left anything behind that later calls could see.

All cases of a `functional` suite share one process, which is fast; where this module cannot
rule out that one case changed the next, the warm parent repeats them in a process each. So
state never decides a verdict. Only what plain Python keeps is looked at: global names, default
arguments, closures, attributes of functions and classes, and the plain data in all of them.
Standard library only.
"""

from __future__ import annotations

import marshal
import operator
import types
from collections.abc import Iterable, Mapping
from typing import Any

_ATOMS = (int, float, str, bytes, bool, complex, type(None), type(Ellipsis), range)
_INERT = (types.ModuleType, types.BuiltinFunctionType, property)
_SKIPPED = ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__")


class State:
    """A snapshot of a namespace, to be compared with what it becomes.

    Objects are held, not just their ids: a freed object's address may be used again.
    """

    def __init__(
        self, namespace: Mapping[str, Any], names: Iterable[str], prelude: Mapping[str, Any]
    ) -> None:
        """Take the snapshot.

        Args:
            namespace: the program's global names.
            names: those that its top level may have bound.
            prelude: names bound before the program; their values are left out.
        """
        self._namespace = namespace
        self._bindings = list(namespace.values())
        self._roots = [
            namespace[n] for n in names if n in namespace and prelude.get(n) is not namespace[n]
        ]
        self._before = self._look()

    def _look(self) -> tuple[list[Any], list[bytes]] | None:
        found = _Walk()
        try:
            for value in self._roots:
                found.visit(value)
        except (ValueError, RecursionError):  # something that is neither code nor plain data
            return None
        return found.objects, found.data

    def unchanged(self) -> bool:
        """True if nothing was left behind; False if something was, or may have been."""
        if self._before is None or not _same(self._bindings, list(self._namespace.values())):
            return False
        after = self._look()
        if after is None:
            return False
        return after[1] == self._before[1] and _same(self._before[0], after[0])


def _same(before: list[Any], after: list[Any]) -> bool:
    return len(before) == len(after) and all(map(operator.is_, before, after))


class _Walk:
    """Collects the objects and the plain data that some values consist of."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.data: list[bytes] = []
        self._seen: set[int] = set()

    def visit(self, value: Any) -> None:
        """Add one value with all that hangs on it.

        Raises:
            ValueError: it holds something whose changes cannot be seen.
        """
        kind = type(value)
        self.objects.append(value)
        if kind in _ATOMS or kind in _INERT or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if kind is types.FunctionType:
            self._visit_function(value)
        elif isinstance(value, type):
            self._visit_class(value)
        elif kind in (staticmethod, classmethod) or hasattr(value, "cache_info"):
            self.visit(value.__wrapped__)  # a cache of a function without state is no state
        elif kind.__module__ not in ("typing", "re"):
            self.data.append(marshal.dumps(value, 2))

    def _visit_function(self, value: types.FunctionType) -> None:
        self.objects.append(value.__code__)
        self.data.append(marshal.dumps(value.__dict__, 2) if value.__dict__ else b"")
        if value.__defaults__ or value.__kwdefaults__:
            self.data.append(marshal.dumps((value.__defaults__, value.__kwdefaults__), 2))
        for cell in value.__closure__ or ():
            self.visit(cell.cell_contents)

    def _visit_class(self, value: type) -> None:
        if value.__module__ == "solution":
            for name, part in value.__dict__.items():
                if name not in _SKIPPED:
                    self.visit(part)
