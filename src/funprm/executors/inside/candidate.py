"""The side of a `check` suite on which the program runs: it answers calls, and knows no test.

This process was forked before the tests were read, holds no descriptor but its end of the
connection to the tests, and whatever it answers is read there as plain data (`tester`). Calls
name a function of the judge, then its arguments, of which the first may be a value that stayed
here. Standard library only.
"""

from __future__ import annotations

import builtins
import itertools
import operator
import os
import struct
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from funprm.executors.inside.plain_data import Reader, Row, Snapshot, Writer, classes_of

MOST = 64 << 20
"""Bytes of a message."""
_SIZE = struct.Struct("<I")
_CHUNK = 1000
"""Values of an iterator that are made at once."""


def send(link: int, data: bytes) -> None:
    """Send one message over a connected socket.

    Raises:
        ValueError: it is too large.
        OSError: the other side is gone.
    """
    if len(data) > MOST:
        raise ValueError(f"{len(data)} bytes in one call, {MOST} are allowed")
    view = memoryview(_SIZE.pack(len(data)) + data)
    while view:
        view = view[os.write(link, view) :]


def receive(link: int) -> bytes:
    """The next message; empty once the other side is gone.

    Raises:
        ValueError: it is too large.
        OSError: the connection broke.
    """
    (size,) = _SIZE.unpack(_exactly(link, _SIZE.size) or bytes(_SIZE.size))
    if size > MOST:
        raise ValueError(f"{size} bytes in one answer, {MOST} are allowed")
    return _exactly(link, size)


def _exactly(link: int, size: int) -> bytes:
    """So many bytes, or none."""
    parts, missing = [], size
    while missing:
        data = os.read(link, min(missing, 1 << 20))
        if not data:
            return b""
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


class Server:
    """Answers calls until the tests are done."""

    def __init__(
        self,
        link: int,
        namespace: dict[str, Any],
        describe: Callable[[BaseException], str],
    ) -> None:
        """Prepare.

        Args:
            link: the connection to the tests.
            namespace: the program's global names, with the prelude's in it.
            describe: tells people what an error was.
        """
        self._link = link
        self._namespace = namespace
        self._describe = describe
        self._classes = classes_of(namespace)
        self._kept: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._functions: Mapping[str, Callable[..., Any]] = {
            "call": lambda function, *args, **kwargs: function(*args, **kwargs),
            "global": namespace.__getitem__,
            "get": getattr,
            "len": len,
            "bool": bool,
            "str": str,
            "repr": repr,
            "item": operator.getitem,
            "iterate": lambda value: iter(value),
            "take": lambda iterator: tuple(itertools.islice(iterator, _CHUNK)),
        }

    def serve(self, load: Callable[[], Any]) -> None:
        """Load the program, then answer calls.

        Args:
            load: runs the program and gives the function that is tested.
        """
        known = set(self._namespace)
        self._answer(lambda: self._loaded(load(), known), Writer(self._classes, self._row_of))
        while data := receive(self._link):
            call = Reader(data, self._classes, self._object_of)
            before = Snapshot(call.mutable())
            writer = Writer(self._classes, self._row_of, call.objects)
            self._answer(partial(self._call, *call.values), writer, before.changed)

    def _loaded(self, candidate: Any, known: set[str]) -> tuple[str, ...]:
        """Keep the candidate as number 0; the names that the program has bound."""
        self._keep(candidate)
        own = self._namespace.keys() - known
        return tuple(name for name in own if not hasattr(builtins, name))

    def _call(self, name: str, keywords: str, *values: Any) -> Any:
        names = keywords.split(",") if keywords else []
        place = len(values) - len(names)
        kwargs = dict(zip(names, values[place:], strict=True))
        return self._functions[name](*values[:place], **kwargs)

    def _answer(
        self,
        call: Callable[[], Any],
        writer: Writer,
        changed: Callable[[], list[int]] = list,
    ) -> None:
        try:
            letter, values = b"v", (call(),)
        except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt as well)
            letter, values = b"e", self._values_of(error)
        try:
            data = letter + writer.message(*values, changed=changed())
            send(self._link, data)
        except (MemoryError, RecursionError, ValueError) as error:  # an answer without bounds
            empty = Writer(self._classes, self._row_of)
            send(self._link, b"e" + empty.message(*self._values_of(error)))

    def _values_of(self, error: BaseException) -> tuple[Any, ...]:
        """Names of its kinds, a description, its arguments as far as they are plain."""
        kinds = ",".join(kind.__name__ for kind in type(error).__mro__)
        plain = (int, float, str, bool, type(None))
        arguments = [a if type(a) in plain else str(a) for a in error.args]
        return (kinds, self._describe(error), *arguments)

    # --- values that stay here ---

    def _keep(self, value: Any) -> int:
        """The value's number."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._kept)
            self._kept.append(value)
        return number

    def _row_of(self, writer: Writer, value: Any) -> Row:
        return ["kept", self._keep(value), type(value).__name__, hasattr(value, "__next__")]

    def _object_of(self, row: Row) -> Any:
        if row[0] == "kept":
            return self._kept[row[1]]
        __import__(row[1])
        return vars(sys.modules[row[1]])[row[2]]
