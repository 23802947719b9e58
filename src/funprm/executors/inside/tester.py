"""The side of a `check` suite on which the tests run; the program never enters this process.

Tests call the program through a connection to its process (`candidate`). What comes back is
plain data, made anew here, so an answer cannot bring its own idea of equality; what is no plain
data stays there, equals nothing, and is reached through a `Remote`. An exception of the program
is raised here as the built-in one of its name. Standard library only.
"""

from __future__ import annotations

import builtins
import itertools
import json
import marshal
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from funprm.executors.inside.candidate import receive, send
from funprm.executors.inside.plain_data import (
    SCALARS,
    NotPlainError,
    Reader,
    Row,
    Table,
    UnreadableError,
    Writer,
    is_library_function,
)
from funprm.executors.inside.task import TESTS

_LONGEST_ITERATOR = 1_000_000
_LONGEST_LINE = 200
_OF_PROGRAM = "_of_program"
_WORD = re.compile(r"[^\W\d]\w*")
_TOO_GENERAL = (BaseException, Exception, Warning)

Namespace = dict[str, Any]


class ProgramGoneError(BaseException):
    """The program's process has ended, or answers no more."""


def fault_of_program(error: BaseException) -> str:
    """What happened in the program, if it raised this error; else empty."""
    return str(getattr(error, _OF_PROGRAM, ""))


class Remote:
    """A value that stays with the program. It equals nothing but itself."""

    __slots__ = ("_ask", "_iterator", "_kind", "_number", "_taken")

    def __init__(self, ask: Any, number: int, kind: str, iterator: bool) -> None:
        """Make one; `ask` is that of the connection."""
        self._ask, self._number, self._kind, self._iterator = ask, number, kind, iterator
        self._taken: Iterator[Any] = iter(())

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it where it is."""
        return self._ask("call", self, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(name)  # copy and pickle look for such
        return self._ask("get", self, name)

    def __len__(self) -> int:
        return int(self._ask("len", self))

    def __bool__(self) -> bool:
        return bool(self._ask("bool", self))

    def __str__(self) -> str:
        return str(self._ask("str", self))

    def __repr__(self) -> str:
        return str(self._ask("repr", self))

    def __getitem__(self, key: Any) -> Any:
        return self._ask("item", self, key)

    def __iter__(self) -> Iterator[Any]:
        return self if self._iterator else iter(self._ask("iterate", self))

    def __next__(self) -> Any:
        if not self._iterator:
            raise TypeError(f"{self._kind!r} object is not an iterator")
        for value in self._taken:
            return value
        self._taken = iter(self._ask("take", self))
        for value in self._taken:
            return value
        raise StopIteration


_READ: dict[bytes, Callable[[bytes], Any]] = {
    b"n": lambda data: None,
    b"t": lambda data: True,
    b"f": lambda data: False,
    b"i": lambda data: int(data, 16),
    b"d": float,
    b"s": lambda data: data.decode("utf-8", "surrogatepass"),
}


class Connection:
    """Calls of the program, one at a time.

    Attributes:
        names: global names that the program has bound.
        foreign: tests called it with something that is no plain data.
    """

    def __init__(self, link: int, classes: Mapping[str, type]) -> None:
        """Take over a connected socket; `load` comes first.

        Args:
            link: its descriptor.
            classes: those that the prelude defines.
        """
        self._link = link
        self._classes = classes
        self._remotes: dict[int, Remote] = {}
        self.names: frozenset[str] = frozenset()
        self.foreign = False

    def load(self) -> Remote:
        """Wait until the program is loaded; what is tested.

        Raises:
            BaseException: as the program raised it.
        """
        self.names = frozenset(str(self._answer()).split(","))
        return self._remote(0, "function", False)

    def ask(self, function: str, target: Remote | None, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of `candidate.Server`.

        Raises:
            NotPlainError: an argument is no plain data.
            ProgramGoneError: there is nobody to answer.
            BaseException: as the program raised it.
        """
        values: Any = [*args, *kwargs.values()]
        known: Sequence[Any] = ()
        plain = SCALARS.issuperset(map(type, values))
        if not plain:
            values, known = self._table(values)
        number = -1 if target is None else target._number
        try:
            send(self._link, marshal.dumps((function, number, tuple(kwargs), plain, values)))
        except OSError:
            raise ProgramGoneError from None
        return self._answer(known)

    def _table(self, values: list[Any]) -> tuple[Table, Sequence[Any]]:
        writer = Writer(self._classes, self._row_of)
        try:
            return writer.table(values), writer.objects
        except NotPlainError:
            self.foreign = True
            raise

    def _answer(self, known: Sequence[Any] = ()) -> Any:
        try:
            data = receive(self._link)
            if not data:
                raise ProgramGoneError
            read = _READ.get(data[:1])
            if read:
                return read(data[1:])
            answer = Reader(json.loads(data[1:]), self._classes, self._object_of, known)
        except OSError:
            raise ProgramGoneError from None
        except (ValueError, RecursionError, UnreadableError) as fault:  # too much, or made up
            raise _error("RuntimeError", str(fault)) from None
        if data[:1] == b"v" and len(answer.values) == 1:
            return answer.values[0]
        raise _error(*map(str, answer.values[:2]), *answer.values[2:])

    # --- what is no plain data ---

    def _row_of(self, writer: Writer, value: Any) -> Row:
        if type(value) is Remote:
            return ["kept", value._number]
        if is_library_function(value):
            return ["function", value.__module__, value.__name__]
        if isinstance(value, Iterator):
            items = tuple(itertools.islice(value, _LONGEST_ITERATOR + 1))
            if len(items) <= _LONGEST_ITERATOR:
                return ["iterator", *writer.references(items)]
        raise NotPlainError(f"the tests call the program with a {type(value).__name__}")

    def _object_of(self, row: Row) -> Remote:
        kind, number, name, iterator = row
        if kind != "kept" or type(number) is not int:
            raise ValueError(f"a value of unknown kind {kind!r}")
        return self._remote(number, str(name), iterator is True)

    def _remote(self, number: int, kind: str, iterator: bool) -> Remote:
        if number not in self._remotes:
            self._remotes[number] = Remote(self.ask, number, kind, iterator)
        return self._remotes[number]


def _error(kinds: str = "", description: str = "", *arguments: Any) -> BaseException:
    """The built-in exception that is nearest to the program's, with its name and arguments."""
    names = kinds.split(",")
    found = (vars(builtins).get(name) for name in names)
    base: type[BaseException] = next(
        (k for k in found if isinstance(k, type) and issubclass(k, BaseException)), RuntimeError
    )
    if base in _TOO_GENERAL and names[0] != base.__name__:
        base = RuntimeError
    try:
        kind = base if names[0] == base.__name__ else type(names[0], (base,), {})
        error: BaseException = kind(*arguments)
    except Exception:  # noqa: BLE001  (some want certain arguments; names may be odd)
        error = RuntimeError(description)
    setattr(error, _OF_PROGRAM, description or names[0] or "an error without a name")
    return error


# --- running the tests -----------------------------------------------------------------------


def run(code: types.CodeType, entry: str, prelude: Namespace, connection: Connection) -> None:
    """Load the program, then call the tests' `check` with it.

    Args:
        code: defines `check(candidate)`.
        entry: what is tested: the program's name for it, or an expression.
        prelude: names that the prelude bound.
        connection: to the program.

    Raises:
        BaseException: whatever the program (see `fault_of_program`) or the tests raised.
    """
    candidate = connection.load()
    names = {**prelude, "__name__": "tests", "__builtins__": builtins}
    others = connection.names - {entry}
    for name in others and others & _names_in(code):
        names[name] = connection.ask("global", None, name)
    exec(code, names)
    check = names["check"]
    if entry.isidentifier():  # tests may call it by its name, even if that is `check`
        names[entry] = candidate
    check(candidate)


def _names_in(part: Any) -> frozenset[str]:
    """All names that a piece of code uses; words of its texts, too, which it may execute."""
    if isinstance(part, str):
        return frozenset(_WORD.findall(part))
    if isinstance(part, types.CodeType):
        return frozenset(part.co_names).union(*map(_names_in, part.co_consts))
    return frozenset().union(*map(_names_in, part)) if isinstance(part, tuple) else frozenset()


def describe(error: BaseException, tests: str) -> str:
    """Kind and message of an error, and the line of the tests that it came from."""
    number, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == TESTS:
            number = trace.tb_lineno
        trace = trace.tb_next
    line = tests.split("\n")[number - 1].strip()[:_LONGEST_LINE] if number else ""
    return f"{type(error).__name__}: {str(error)[:_LONGEST_LINE]}; tests, line {number}: {line}"
