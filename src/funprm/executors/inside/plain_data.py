"""Plain data on their way between tests and the program that they test.

Both sides write values as a flat table of JSON: every list, tuple, dictionary, set, number of
another library or instance of a class that the prelude defines is a row, and rows refer to each
other by their numbers. So shared parts stay shared, cycles are no matter, and nothing is nested.
Reading makes new objects of known types; it calls no code of the side that wrote. What is no plain
data is either refused, or stays where it is and is named by a number. Standard library only.
"""

from __future__ import annotations

import builtins
import datetime
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import chain
from typing import Any

from funprm.executors.inside.changes import attributes_of

SCALARS = frozenset({int, float, str, bool, type(None)})
_LISTS: dict[type, str] = {list: "list", set: "set", bytearray: "bytearray"}
_KEYS: type = type({}.keys())
_ROWS: dict[type, str] = {**_LISTS, tuple: "tuple", frozenset: "frozenset", _KEYS: "keys"}
_TABLES: dict[type, str] = {dict: "dict", Counter: "Counter", OrderedDict: "OrderedDict"}
_BASES: tuple[Any, ...] = (
    *(int, float, complex, str, bytes, bytearray),
    *(list, tuple, dict, set, frozenset),
)
_DATES: dict[type, tuple[str, ...]] = {
    datetime.timedelta: ("days", "seconds", "microseconds"),
    datetime.date: ("year", "month", "day"),
    datetime.time: ("hour", "minute", "second", "microsecond"),
    datetime.datetime: ("year", "month", "day", "hour", "minute", "second", "microsecond"),
}
_FIELDS: dict[type, Callable[[Any], Iterable[Any]]] = {
    bytes: lambda value: (value.decode("latin-1"),),
    complex: lambda value: (value.real, value.imag),
    Decimal: lambda value: (str(value),),
    Fraction: lambda value: (value.numerator, value.denominator),
    range: lambda value: (value.start, value.stop, value.step),
    deque: lambda value: (value.maxlen, *value),
    defaultdict: lambda value: (value.default_factory, *chain.from_iterable(value.items())),
}
"""Of other kinds: what their rows hold."""
_EMPTY: dict[str, Callable[[], Any]] = {
    **{name: kind for kind, name in (_LISTS | _TABLES).items()},
    "deque": deque,
    "defaultdict": defaultdict,
}
_LATE = frozenset({"set", "defaultdict", *_TABLES.values()})
"""What holds hashes of its parts, which must be complete by then."""


class NotPlainError(BaseException):
    """A value that is no plain data; nothing that tests catch."""


class UnreadableError(Exception):
    """What the other side wrote is no table."""


Row = list[Any]
Table = list[list[Any]]
"""Values, rows, and changes of values that the reader has already; see `Writer.table`."""


class Writer:
    """Makes the table of one message.

    Attributes:
        objects: the values behind the rows.
        known: values that the reader has already.
    """

    def __init__(
        self,
        classes: Mapping[str, type],
        other: Callable[[Writer, Any], Row],
        known: Sequence[Any] = (),
    ) -> None:
        """Begin an empty table.

        Args:
            classes: those whose instances are plain data, by name.
            other: makes the row of a value that is no plain data (given the writer and the
                value), or raises `NotPlainError`.
            known: values that the reader has already; -1 refers to the first.
        """
        self.objects: list[Any] = []
        self._classes = classes
        self._other = other
        self.known = known
        self._numbers = {id(value): -1 - number for number, value in enumerate(known)}

    def table(self, values: Iterable[Any], changed: Sequence[int] = ()) -> Table:
        """The table of a message that holds some values.

        Args:
            values: the values.
            changed: numbers of known values whose contents the reader must replace.

        Raises:
            NotPlainError: by `other`.
        """
        roots = self.references(values)
        changes = [[number, self._row(self.known[number])] for number in changed]
        rows = []
        for value in self.objects:  # which grows meanwhile
            rows.append(self._row(value))
        return [roots, rows, changes]

    def references(self, values: Iterable[Any]) -> list[Any]:
        """Values as they stand in a row: themselves, or the number of their own row."""
        values = list(values)
        if SCALARS.issuperset(map(type, values)):
            return values
        return [v if type(v) in SCALARS else self._reference(v) for v in values]

    def _reference(self, value: Any) -> list[int]:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        return [number]

    def _row(self, value: Any) -> Row:
        kind = type(value)
        if kind in _ROWS:
            return [_ROWS[kind], *self.references(value)]
        if kind in _TABLES:
            return [_TABLES[kind], *self.references(chain.from_iterable(value.items()))]
        if kind in _FIELDS:
            return [kind.__name__, *self.references(_FIELDS[kind](value))]
        if kind in _DATES and getattr(value, "tzinfo", None) is None:
            return [kind.__name__, *(getattr(value, name) for name in _DATES[kind])]
        if kind.__name__ in self._classes:
            return self._instance(value, kind)
        return self._foreign_row(value, kind)

    def _foreign_row(self, value: Any, kind: type) -> Row:
        """A subclass as its base, a number of numpy as Python's; else `other` must know."""
        if str(kind.__module__).partition(".")[0] == "numpy" and hasattr(value, "dtype"):
            return _array_row(value) or self._other(self, value)
        if isinstance(value, type) and vars(builtins).get(kind_name := value.__name__) is value:
            return ["type", kind_name]
        for base in _BASES:
            if isinstance(value, base):
                plain = base(value)
                return ["same", plain] if base in SCALARS else self._row(plain)
        return self._other(self, value)

    def _instance(self, value: Any, kind: type) -> Row:
        name = kind.__name__
        if isinstance(value, Enum):
            return ["member", name, value.name]
        if isinstance(value, tuple):
            return ["named", name, *self.references(value)]
        attributes = attributes_of(value)
        return ["instance", name, list(attributes), *self.references(attributes.values())]


def _array_row(value: Any) -> Row | None:
    if value.dtype.hasobject:
        return None
    return ["array", value.dtype.str, list(value.shape), value.tobytes().decode("latin-1")]


class Reader:
    """Makes values of a message.

    Attributes:
        values: those that the message holds.
        objects: the objects behind the rows.
        changed: numbers of known values whose contents were replaced.
    """

    def __init__(
        self,
        table: Table,
        classes: Mapping[str, type],
        other: Callable[[Row], Any],
        known: Sequence[Any] = (),
    ) -> None:
        """Read the table of a message.

        Args:
            table: what a `Writer` made, or what a hostile program made up.
            classes: those whose instances are plain data, by name.
            other: gives the object for a row of unknown kind, or raises an exception.
            known: as for the writer.

        Raises:
            UnreadableError: it is no table.
            MemoryError: it is too large.
        """
        self._classes = classes
        self._other = other
        self._known = known
        try:
            roots, self._table, changes = table
            self.objects = [self._empty(row) for row in self._table]
            self._ready = [_can_change(row) for row in self._table]
            for number in reversed(range(len(self._table))):  # parts mostly come after wholes
                self._object(number)
            self._fill_all(changes)
            self.values = self._values(roots)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever hostile data lead to)
            raise UnreadableError(f"unreadable data: {type(error).__name__}: {error}") from None

    def mutable(self) -> list[tuple[int, Any]]:
        """The objects that can change, with their numbers."""
        rows = enumerate(zip(self.objects, self._table, strict=True))
        return [(number, value) for number, (value, row) in rows if _can_change(row)]

    def _fill_all(self, changes: list[Any]) -> None:
        rows = [*zip(self.objects, self._table, strict=True)]
        rows += [(self._known[number], row) for number, row in changes]
        self.changed = [number for number, _ in changes]
        for late in (False, True):
            for value, row in rows:
                if (row[0] in _LATE) is late:
                    self._fill(value, row)

    def _empty(self, row: Row) -> Any:
        kind = row[0]
        if kind == "deque":
            return deque(maxlen=row[1])
        if kind == "instance":
            return object.__new__(self._classes[row[1]])
        return _EMPTY[kind]() if kind in _EMPTY else None

    def _values(self, references: list[Any]) -> list[Any]:
        return [self._value(r) if type(r) is list else r for r in references]

    def _value(self, reference: list[int]) -> Any:
        (number,) = reference
        return self._known[-1 - number] if number < 0 else self._object(number)

    def _object(self, number: int) -> Any:
        if not self._ready[number]:
            row = self._table[number]
            self._table[number] = ["being made"]  # what holds itself ends here
            self.objects[number] = self._made(row[0], row[1:], row)
            self._table[number], self._ready[number] = row, True
        return self.objects[number]

    def _made(self, kind: str, parts: list[Any], row: Row) -> Any:
        """A value that cannot be changed once it is there."""
        if kind == "tuple":
            return tuple(self._values(parts))
        if kind == "named":
            return tuple.__new__(self._classes[parts[0]], self._values(parts[1:]))
        if kind == "frozenset":
            return frozenset(self._values(parts))
        if kind == "member":
            return self._classes[parts[0]].__members__[parts[1]]  # type: ignore[attr-defined]
        make = _MADE.get(kind)
        return make(*self._values(parts)) if make else self._other(row)

    def _fill(self, value: Any, row: Row) -> None:
        """Replace what a value holds."""
        kind, parts = row[0], row[1:]
        if kind == "instance":
            _set_attributes(value, dict(zip(parts[1], self._values(parts[2:]), strict=True)))
        elif kind in _EMPTY:
            value.clear()
            if isinstance(value, dict):
                items = iter(self._values(parts))
                if isinstance(value, defaultdict):
                    value.default_factory = next(items)
                update = OrderedDict.update if isinstance(value, OrderedDict) else dict.update
                update(value, zip(items, items, strict=True))
            elif isinstance(value, set):
                value.update(self._values(parts))
            else:
                value.extend(self._values(parts[1:] if kind == "deque" else parts))


def _can_change(row: Row) -> bool:
    return row[0] in _EMPTY or row[0] == "instance"


def _set_attributes(value: Any, attributes: dict[str, Any]) -> None:
    for name in attributes_of(value).keys() - attributes.keys():
        object.__delattr__(value, name)
    for name, part in attributes.items():
        object.__setattr__(value, name, part)


def _array(kind: str, shape: list[int], data: str) -> Any:
    numpy = __import__("numpy")
    made = numpy.frombuffer(data.encode("latin-1"), numpy.dtype(kind)).reshape(shape).copy()
    return made if shape else made[()]


def _type(name: str) -> type:
    found = vars(builtins)[name]
    if not isinstance(found, type):
        raise TypeError(f"{name} is no type")
    return found


_MADE: dict[str, Callable[..., Any]] = {
    "same": lambda value: value,
    "bytes": lambda text: text.encode("latin-1"),
    "keys": lambda *values: dict.fromkeys(values).keys(),
    "iterator": lambda *values: iter(values),
    "complex": complex,
    "Decimal": Decimal,
    "Fraction": Fraction,
    "range": range,
    "type": _type,
    "array": _array,
    **{kind.__name__: kind for kind in _DATES},
}


def classes_of(namespace: Mapping[str, Any]) -> dict[str, type]:
    """The classes that a prelude's own code defines, by name."""
    home = namespace.get("__name__")
    found = (v for v in namespace.values() if isinstance(v, type) and v.__module__ == home)
    return {kind.__name__: kind for kind in found}


def is_library_function(value: Any) -> bool:
    """Whether both sides can find it by its module and name."""
    name = getattr(value, "__module__", None) or ""
    if name.partition(".")[0] not in sys.stdlib_module_names or name not in sys.modules:
        return False
    plain = (types.BuiltinFunctionType, type, types.FunctionType)
    return isinstance(value, plain) and vars(sys.modules[name]).get(value.__name__) is value
