"""Whether the cases of a program on standard streams may share one process.

A process per case costs more than most cases. Sharing must not let one case see what another
left, so it is done only where the compiled program shows that nothing can be left outside of its
own global names, which are fresh in every case: it imports nothing but modules without state,
uses no name that leads elsewhere, and assigns no attribute that those modules have. It ends with
the first case that used much time or memory, or replaced or closed a stream. All other programs
get a process per case. Standard library only.
"""

from __future__ import annotations

import io
import opcode
import resource
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

_STATELESS = frozenset(
    "__future__ abc array bisect cmath collections collections.abc copy dataclasses datetime enum"
    " fractions functools heapq io itertools math numbers operator random re statistics string sys"
    " time typing".split()
)
_TWINS = frozenset(f"_{name}" for name in _STATELESS) | {"builtins"}
"""Modules in C that the stateless ones take their names from."""
_OF_SYS = frozenset(
    "stdin stdout stderr setrecursionlimit getrecursionlimit exit maxsize intern getsizeof"
    " version version_info float_info __name__".split()
)
_LEADING_ELSEWHERE = frozenset(
    "FileIO breakpoint compile delattr detach eval exec fileno getattr globals hasattr help locals"
    " open open_code reconfigure register seek seekable setattr tell tzset vars".split()
)
_SPECIAL = frozenset(
    "abs add and annotations bool call contains doc enter eq exit floordiv ge getitem gt hash iadd"
    " init invert isub iter le len lt main matmul mod module mul name ne neg next or pos post_init"
    " pow qualname radd repr reversed rmul rsub setitem slots str sub truediv xor future".split()
)
_PLAIN = (int, float, complex, str, bytes, tuple, type(None))
_IMPORT, _STORE, _DELETE, _EXTENDED = (
    opcode.opmap[name] for name in ("IMPORT_NAME", "STORE_ATTR", "DELETE_ATTR", "EXTENDED_ARG")
)
_MOST_CPU, _MOST_MB = 0.05, 32.0


def shareable(code: types.CodeType, prelude: Mapping[str, Any]) -> bool:
    """Whether nothing that the program does in one case can be seen in another.

    Args:
        code: the program.
        prelude: names bound before it.
    """
    names: set[str] = set()
    imported: set[str] = set()
    stored: set[str] = set()
    for part in _parts(code):
        names.update(part.co_names)
        for found, operations in ((imported, (_IMPORT,)), (stored, (_STORE, _DELETE))):
            for operation in operations:
                arguments = _arguments(part, operation)
                if arguments is None:
                    return False
                found.update(arguments)
    given = {name: prelude[name] for name in names & prelude.keys()}
    imported |= {v.__name__ for v in given.values() if type(v) is types.ModuleType}
    return (
        imported <= _STATELESS
        and not names & _LEADING_ELSEWHERE
        and all(map(_is_known, names))
        and all(map(_is_stateless, given.values()))
        and not ("sys" in imported and names & vars(sys).keys() - _OF_SYS)
        and not any(stored & vars(sys.modules[m]).keys() for m in imported & sys.modules.keys())
    )


def _parts(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and all inside of it."""
    yield code
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            yield from _parts(constant)


def _arguments(code: types.CodeType, operation: int) -> list[str] | None:
    """The names that an operation is applied to; None where that cannot be told."""
    operations, arguments = code.co_code[::2], code.co_code[1::2]
    found = []
    place = operations.find(operation)
    while place >= 0:
        if place and operations[place - 1] == _EXTENDED:
            return None
        found.append(code.co_names[arguments[place]])
        place = operations.find(operation, place + 1)
    return found


def _is_known(name: str) -> bool:
    """Not a special name, or a harmless one."""
    return not name.startswith("__") or name.strip("_") in _SPECIAL


def _is_stateless(value: Any) -> bool:
    """A value of the prelude that the program uses: a module, a part of one, or plain data."""
    if type(value) is types.ModuleType or type(value) in _PLAIN:
        return True
    if any(value is stream for stream in _streams()):
        return True
    home = getattr(value, "__module__", None)
    if home == "sys":
        return value.__name__ in _OF_SYS
    return home in _STATELESS or home in _TWINS


def _streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr


class Streams:
    """The standard streams of a process that runs several cases."""

    def __init__(self, prelude: Mapping[str, Any]) -> None:
        """Note what is there before the first case.

        Args:
            prelude: names bound before the program; those of standard input are kept up to date.
        """
        self._names = [name for name, value in prelude.items() if value is sys.stdin]
        self._streams = _streams()
        self._peak = _peak_mb()

    def untouched(self, cpu: float) -> bool:
        """Whether another case may follow one that took `cpu` seconds."""
        return (
            cpu < _MOST_CPU
            and _peak_mb() - self._peak < _MOST_MB
            and _streams() == self._streams
            and not any(stream.closed for stream in self._streams)
        )

    def renew(self) -> dict[str, Any]:
        """Make a fresh standard input; returns the prelude's names for it.

        `sys.stdout` has been flushed, and has no other state.
        """
        old = self._streams[0]
        raw = io.BufferedReader(io.FileIO(0, closefd=False))
        new = io.TextIOWrapper(raw, encoding=old.encoding, errors=old.errors, newline="\n")
        sys.stdin = sys.__stdin__ = new  # type: ignore[misc]
        self._streams = _streams()
        sys.modules["random"].seed(0)
        return dict.fromkeys(self._names, new)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
