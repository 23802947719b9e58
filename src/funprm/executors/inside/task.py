"""What one process of a program must know: packed by the watcher, read by the process itself.

It travels in two sealed files without a name. One holds settings and the program. The other holds
the suite's inputs or tests, is made once per suite, and is closed again before the program runs.
So neither passes through the zygote's memory, which every program inherits. No expected output is
in either. Standard library only.
"""

from __future__ import annotations

import ast
import fcntl
import json
import marshal
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_HEAD = struct.Struct("<III")
_SEALS = 1 | 2 | 4 | 8  # no more seals, no change of size, no writing
_ADD_SEALS = 1033

TESTS = "tests.py"
"""File name of tests in tracebacks."""
Span = tuple[int, int]
"""Offset and size in the suite's file."""


class SuiteFile:
    """The inputs or tests of a suite, in a sealed file.

    Attributes:
        fd: the file.
        spans: where each case's input stands, or (one span) the tests.
    """

    def __init__(self, kind: str, sizes: Sequence[int], body: bytes) -> None:
        """Write the file.

        Args:
            kind: of the suite; the values of `functional` ones are read here, once, and the
                tests of `check` ones are compiled.
            sizes: bytes of each part of the body.
            body: inputs, or the tests.

        Raises:
            ValueError: sizes and body do not agree, or a value is no JSON.
        """
        if sum(sizes) != len(body):
            raise ValueError("a suite whose parts do not make its whole")
        parts, place = [], 0
        for size in sizes:
            parts.append(body[place : place + size])
            place += size
        if kind == "functional":
            parts = list(map(marshal.dumps, json.loads(b"[%s]" % b",".join(parts))))
        elif kind == "calls":
            calls = ast.literal_eval(parts[0].decode("utf-8", "surrogatepass"))
            parts = [marshal.dumps([marshal.dumps(call) for call in calls])]
        elif kind == "check":
            parts = [_compiled(parts[0])]
        self.spans: list[Span] = []
        place = 0
        for part in parts:
            self.spans.append((place, len(part)))
            place += len(part)
        self.fd = sealed("suite", parts)

    def __del__(self) -> None:
        os.close(self.fd)


def _compiled(tests: bytes) -> bytes:
    """Source and code, so that not every process need compile it."""
    source = tests.decode("utf-8", "surrogatepass")
    try:
        code = compile(source, TESTS, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # who runs it will be told
        code = None
    return marshal.dumps((source, code))


def sealed(name: str, parts: Sequence[bytes]) -> int:
    """A file without a name in the file system that nobody can change."""
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[os.write(fd, view) :]
    fcntl.fcntl(fd, _ADD_SEALS, _SEALS)
    return fd


def packed(settings: dict[str, Any], code: bytes, compiled: bytes) -> int:
    """The file with settings and the program; see `Task` for the settings."""
    text = marshal.dumps(settings)
    head = _HEAD.pack(len(text), len(code), len(compiled))
    return sealed("program", [head + text + code + compiled])


class Task:
    """What a process runs.

    Attributes:
        kind, entry, prelude, compat, processes: as in the suite.
        stop: end with the first error.
        secret: the mark behind each case's output (`stdin`, several cases), or what proves that
            test code came to its end.
        memory: mebibytes.
        seconds: CPU seconds after which the kernel ends the process, should the watcher fail.
        scratch: working folder.
        code: the program.
        compiled: the program's code object, marshalled, where a sibling has compiled it.
        inputs: of the cases to be run, as they stand in the suite's file.
        tests: the descriptor of the suite's file, open where it holds tests; see `read_tests`.
        namespace: names that the prelude put into scope, or None where it must still run.
        confine: gives up the rights that the program must not have.
        candidate: the process in which the program runs, or 0 in that process (`check`).
        link: the tests' connection to it.
        gated: there is a gate between cases (see `gate`).
        gate: its descriptor, or -1.
    """

    kind: str
    entry: str
    prelude: str
    compat: bool
    processes: bool
    stop: bool
    secret: str
    memory: float
    seconds: int
    scratch: str
    code: str
    compiled: bytes
    inputs: list[bytes]
    tests: int
    namespace: dict[str, Any] | None
    confine: Callable[[], None]
    candidate: int
    link: int
    gated: bool
    gate: int

    def __init__(self, program: int, suite: int) -> None:
        """Read the two files and close them, but for tests."""
        head = os.pread(program, _HEAD.size, 0)
        text, code, compiled = _HEAD.unpack(head)
        settings = marshal.loads(_read(program, _HEAD.size, text))
        self._spans: list[Span] = settings.pop("spans")
        self.__dict__.update(settings)
        place = _HEAD.size + text
        self.code = _read(program, place, code).decode("utf-8", "surrogatepass")
        self.compiled = _read(program, place + code, compiled)
        os.close(program)
        self.inputs, self.tests = [], suite
        if self.kind in ("stdin", "functional", "calls"):
            start = self._spans[0][0]
            data = _read(suite, start, sum(size for _, size in self._spans))
            self.inputs = [data[place - start : place - start + n] for place, n in self._spans]
            os.close(suite)
            self.tests = -1

    def read_tests(self) -> tuple[str, Any]:
        """The tests and, of `check` suites, their code, once; then their file is closed.

        Raises:
            SyntaxError: they are no Python.
        """
        data = _read(self.tests, *self._spans[0])
        os.close(self.tests)
        if self.kind != "check":
            return data.decode("utf-8", "surrogatepass"), None
        source, code = marshal.loads(data)
        return source, code or compile(source, TESTS, "exec", dont_inherit=True)

    def arguments(self) -> Iterator[list[Any]]:
        """The argument lists of the cases, one by one (`functional`)."""
        return map(marshal.loads, self.inputs)


def _read(fd: int, place: int, size: int) -> bytes:
    parts = []
    while size:
        data = os.pread(fd, size, place)
        if not data:
            raise EOFError("a file of the judge is shorter than it says")
        parts.append(data)
        place += len(data)
        size -= len(data)
    return b"".join(parts)
