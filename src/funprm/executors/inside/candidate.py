"""The side of a `check` suite on which the program runs: it answers calls, and knows no test.

This process was forked before the tests were read, holds no descriptor but its end of the
connection to the tests, and whatever it answers is read there as plain data (`tester`). A call
names a function of the judge, the number of a value that stayed here, or -1, names of the last
arguments, and the arguments. Standard library only.
"""

from __future__ import annotations

import builtins
import itertools
import json
import marshal
import operator
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from funprm.executors.inside.changes import Snapshot
from funprm.executors.inside.plain_data import Reader, Row, Writer

MOST = 64 << 20
"""Bytes of a message."""
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
    data = len(data).to_bytes(4, "little") + data
    sent = os.write(link, data)
    while sent < len(data):
        sent += os.write(link, memoryview(data)[sent:])


def receive(link: int) -> bytes:
    """The next message; empty once the other side is gone.

    Raises:
        ValueError: it is too large.
        OSError: the connection broke.
    """
    size = int.from_bytes(_exactly(link, 4), "little")
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


WRITTEN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"n",
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"i%x" % value,
    float: lambda value: b"d" + repr(value).encode(),
    str: lambda value: b"s" + value.encode("utf-8", "surrogatepass"),
}
"""How answers that are one plain value are written; `tester` has their other side."""


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, /, *args, **kwargs: function(*args, **kwargs),
    "global": lambda namespace, name: namespace[name],
    "get": getattr,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
    "item": operator.getitem,
    "iterate": lambda value: iter(value),
    "take": lambda iterator: tuple(itertools.islice(iterator, _CHUNK)),
}


class Server:
    """Answers calls until the tests are done."""

    def __init__(
        self,
        link: int,
        namespace: dict[str, Any],
        classes: Mapping[str, type],
        describe: Callable[[BaseException], str],
    ) -> None:
        """Prepare.

        Args:
            link: the connection to the tests.
            namespace: the program's global names, with the prelude's in it.
            classes: those that the prelude defines.
            describe: tells people what an error was.
        """
        self._link = link
        self._namespace = namespace
        self._classes = classes
        self._describe = describe
        self._kept: list[Any] = []
        self._numbers: dict[int, int] = {}

    def serve(self, load: Callable[[], Any]) -> None:
        """Load the program, then answer calls.

        Args:
            load: runs the program and gives the function that is tested.
        """
        known = len(self._namespace)
        self._answer(lambda: self._loaded(load(), known), None)
        while data := receive(self._link):
            name, number, keywords, plain, values = marshal.loads(data)
            read = None
            if not plain:
                read = Reader(values, self._classes, self._object_of)
                values = read.values
            place = len(values) - len(keywords)
            keyed = dict(zip(keywords, values[place:], strict=True))
            targets = self._kept[number : number + 1] if number >= 0 else (self._namespace,)
            call = partial(_FUNCTIONS[name], *targets, *values[:place], **keyed)
            self._answer(call, read)

    def _loaded(self, candidate: Any, known: int) -> str:
        """Keep the candidate as number 0; the names that the program has bound."""
        self._keep(candidate)
        own = itertools.islice(self._namespace, known, None)
        return ",".join(name for name in own if not hasattr(builtins, name))

    def _answer(self, call: Callable[[], Any], read: Reader | None) -> None:
        """Send what a call gives, and what it changed of the arguments that were read for it."""
        before = Snapshot(read.mutable()) if read else None
        try:
            value = call()
            changed = before.changed() if before else []
            write = WRITTEN.get(type(value))
            if write and not changed:
                data = write(value)
            else:
                data = b"v" + self._written([value], read, changed)
            if len(data) > MOST:
                raise ValueError(f"an answer of {len(data)} bytes, {MOST} are allowed")
        except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt as well)
            changed = before.changed() if before else []
            data = b"e" + self._written(self._values_of(error), read, changed)
        send(self._link, data)

    def _written(self, values: Iterable[Any], read: Reader | None, changed: list[int]) -> bytes:
        """A table as JSON, whatever the number of digits in it."""
        writer = Writer(self._classes, self._row_of, read.objects if read else ())
        table = writer.table(values, changed)
        limit = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)
        try:
            return json.dumps(table).encode()
        finally:
            sys.set_int_max_str_digits(limit)

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
