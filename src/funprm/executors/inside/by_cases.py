"""Programs that are tested case by case: on standard streams, or by calling a function.

Cases share this process where that is proven to change nothing (see `stateless`); else it says so,
and the watcher has a process made for each. Standard library only.
"""

from __future__ import annotations

import marshal
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from funprm.executors.inside import shared_streams
from funprm.executors.inside.answers import OpaqueError, encode
from funprm.executors.inside.channel import describe, now, record
from funprm.executors.inside.gate import Asker
from funprm.executors.inside.loading import compiled, fresh_module
from funprm.executors.inside.shared_calls import State
from funprm.executors.inside.stateless import Library, Proof
from funprm.executors.inside.task import Task

RECURSION = 50_000
"""Calls within calls that a program may make."""
_write = os.write


def _proof(task: Task, code: types.CodeType) -> Proof | None:
    """That the task's cases may share this process; else says so before anything has run."""
    if len(task.inputs) == 1:
        return None
    names = {} if not task.prelude else task.namespace
    if names is not None:
        proof = Proof(code, names)
        if proof.holds:
            return proof
    record(b"c", marshal.dumps(code))
    record(b"a", b"")
    return None


def _close_gate(task: Task) -> None:
    """A program that might find the gate does not get one."""
    if task.gate >= 0:
        os.close(task.gate)
        task.gate = -1


# --- stdin -----------------------------------------------------------------------------------


def run_stdin(task: Task) -> None:
    """Run a program that reads and prints, in all cases of the task or as many as is safe."""
    start = now()
    try:
        code = compiled(task)
    except (SyntaxError, ValueError, UnicodeError, RecursionError) as error:
        record(b"E", describe(error))
        return
    proof = _proof(task, code)
    if proof:
        _run_shared(task, code, start, proof)
    else:
        _close_gate(task)
        _run_main(task, code, {}, start, b"")


def _run_main(
    task: Task, code: types.CodeType, names: dict[str, Any], start: tuple[int, int], mark: bytes
) -> None:
    """Run the program as `__main__`, in one case."""
    sys.setrecursionlimit(RECURSION)
    namespace = fresh_module(task, "__main__")
    namespace.update(names)
    try:
        exec(code, namespace)
    except SystemExit:
        pass
    finish_interpreter()
    namespace.clear()
    if mark:
        _write(1, mark)
    record(b"x", b"", start)


def _run_shared(task: Task, code: types.CodeType, start: tuple[int, int], proof: Proof) -> None:
    """Run one case after the other, as long as that is safe."""
    library = Library(proof)
    streams = shared_streams.Streams(task.namespace or {})
    asker = Asker(task.gate, len(task.inputs))
    names: dict[str, Any] = {}
    for number, data in enumerate(task.inputs):
        if number:
            untouched = streams.untouched((now()[0] - start[0]) / 1e9)
            if not untouched or not library.unchanged(limit=False):
                record(b"a", b"")
                return
            if not asker.may_run(number):
                return
            start = now()
            fill_stdin(data)
            names = streams.renew()
        _run_main(task, code, names, start, bytes.fromhex(task.secret))


def fill_stdin(data: bytes) -> None:
    """Let standard input hold these data and no others."""
    os.ftruncate(0, 0)
    os.lseek(0, 0, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(0, view) :]
    os.lseek(0, 0, os.SEEK_SET)


def finish_interpreter() -> None:
    """What Python does at its end, as far as a program can see it."""
    import atexit
    import threading

    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except SystemExit:
        pass
    for stream in (sys.stdout, sys.__stdout__):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass


# --- functional ------------------------------------------------------------------------------


def run_functional(task: Task) -> None:
    """Load a program, and call its function in all cases of the task or as many as is safe."""
    sys.setrecursionlimit(RECURSION)
    try:
        code = compiled(task)
        proof = None if task.compat else _proof(task, code)
        if not proof:
            _close_gate(task)
        namespace = fresh_module(task, "solution")
        exec(code, namespace)
        make = _target(task, namespace)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001
        record(b"E", describe(error))
        return
    state = State(proof, namespace, code.co_names) if proof else None
    asker = Asker(task.gate, len(task.inputs))
    for number, arguments in enumerate(task.arguments()):
        if number and not task.compat and not (state and state.unchanged()):
            record(b"a", b"")
            return
        if not asker.may_run(number):
            return
        if not _run_case(make, arguments, task.compat) and task.stop:
            return


def _run_case(make: Callable[[], Callable[..., Any]], arguments: list[Any], compat: bool) -> bool:
    """Record what the function answers; False if it raised."""
    start = now()
    try:
        text = encode(make()(*arguments), compat)
        record(b"o", text, start)
    except OpaqueError as value:
        record(b"q", str(value), start)
    except MemoryError:
        record(b"m", "out of memory", start)
        return False
    except BaseException as error:  # noqa: BLE001
        record(b"e", describe(error), start)
        return False
    return True


def _target(task: Task, namespace: dict[str, Any]) -> Callable[[], Callable[..., Any]]:
    """A function that returns what is called in one case."""
    entry = task.entry
    cls, function = namespace.get("Solution"), namespace.get(entry)
    if cls is not None and (hasattr(cls, entry) or function is None):  # it may set it itself
        if task.compat:
            bound = getattr(cls(), entry)
            return lambda: bound
        return lambda: getattr(cls(), entry)
    if function is None:
        raise NameError(f"the program defines no function or method {entry!r}")
    return lambda: function
