"""One untrusted program, in a process of its own forked from the warm parent.

`run` never returns. Everything here shares the process with the program, so nothing here is
believed outside, except the proof that ends a `check` or `unittest` suite. Standard library only.

Records to the warm parent are lines of ASCII: a letter, CPU and wall time in microseconds with a
colon between, a space, text. `o` an answer as JSON; `q` an answer that JSON cannot hold; `e` an
error; `m` out of memory; `E` the program could not even be loaded; `x` the end of a program on
standard streams in one case; `a` its other cases need a process each; `c` compiled code (hex);
`s` 1 if calls may have left state behind, else 0; `p` the proof.
"""

from __future__ import annotations

import builtins
import gc
import json
import marshal
import os
import resource
import sys
import time
import types
from collections.abc import Callable
from typing import Any

from funprm.executors.inside import shared_streams, test_code
from funprm.executors.inside.shared_calls import State

FILE = "program.py"
CHANNEL = 3
_NOT_READY = 71
"""Exit code of a process that could not be made ready for its program."""
_RECURSION = 50_000
_RECURSION_OF_TESTS = sys.getrecursionlimit()
"""Of `unittest` suites; a prelude in the warm parent may have raised it for other suites."""
_WARM = (
    "typing collections heapq math re string datetime copy random statistics itertools functools"
    " operator io bisect decimal fractions threading traceback atexit"
)
_write = os.write
_cpu, _wall = time.thread_time_ns, time.monotonic_ns


class Task:
    """What the child needs to know. No expected output is among it.

    Attributes:
        suite: kind, entry, tests, prelude, compat, memory_mb, file_mb, processes.
        namespace: names that the prelude put into scope, or None where it must still run.
        code: the program.
        compiled: the program's code object, marshalled, where a sibling has compiled it.
        arguments: argument lists of the cases to be run (`functional`).
        streams: the inputs of the cases to be run (`stdin`).
        channel, stdout: descriptors to write to; stdout -1: discard.
        install: installs the seccomp filter of programs.
        limits: resource limits, (which, value).
        own_group: the program needs a process group to be found by.
        stop: end with the first error.
        proof: takes the only copy of the nonce out of the task.
    """

    __slots__ = (
        "arguments",
        "channel",
        "code",
        "compiled",
        "install",
        "limits",
        "mark",
        "namespace",
        "own_group",
        "proof",
        "stdout",
        "stop",
        "streams",
        "suite",
    )

    suite: dict[str, Any]
    namespace: dict[str, Any] | None
    code: str
    compiled: bytes
    arguments: list[list[Any]]
    streams: list[bytes]
    mark: bytes
    channel: int
    stdout: int
    install: Callable[[], object]
    own_group: bool
    limits: list[tuple[int, int]]
    stop: bool
    proof: list[bytes]


def warm() -> None:
    """Import what programs use most, so that every child has it already.

    `threading` and `random` would reset themselves in every child, which costs a third of a
    millisecond in page faults: the warm parent has one thread, and equal seeds are wanted.
    """
    hook = os.register_at_fork
    os.register_at_fork = lambda **hooks: None
    try:
        for name in _WARM.split():
            __import__(name)
    finally:
        os.register_at_fork = hook
    sys.modules["random"].seed(0)
    sys.argv = [FILE]
    compile("0", FILE, "eval")  # makes the types of syntax trees


def _restore_fork_hooks() -> None:
    """Give a program that may fork what `warm` held back."""
    random, threading = sys.modules["random"], sys.modules["threading"]
    os.register_at_fork(after_in_child=random._inst.seed)
    os.register_at_fork(after_in_child=threading._after_fork)


def run(task: Task) -> None:
    """Run the task's program and leave the process."""
    gc.freeze()  # what the warm parent knows is out of reach for the garbage collector's lists
    try:
        _enter(task)
    except BaseException:  # noqa: BLE001  (no program has run: its empty output is no answer)
        os._exit(_NOT_READY)
    try:
        _RUN[task.suite["kind"]](task)
    except MemoryError:
        _record(b"m", "out of memory")
    except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt as well)
        _record(b"e", _describe(error))
    os._exit(0)


def _enter(task: Task) -> None:
    """Connect the standard streams, set limits, close all else."""
    if len(task.streams) > 1 or any(task.streams):
        os.dup2(os.memfd_create("stdin"), 0)
        _fill_stdin(task.streams[0])
    os.dup2(1, 2)  # the warm parent's 0 and 1 are the null device
    if task.stdout >= 0:
        os.dup2(task.stdout, 1)
    os.dup2(task.channel, CHANNEL, inheritable=False)
    os.closerange(CHANNEL + 1, 4096)
    if task.own_group:
        os.setsid()
    for which, value in task.limits:
        resource.setrlimit(which, (value, value))
    task.install()
    if task.suite["processes"]:
        _restore_fork_hooks()
    gc.enable()


def _fill_stdin(data: bytes) -> None:
    """Let standard input hold these data and no others."""
    os.ftruncate(0, 0)
    os.lseek(0, 0, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(0, view) :]
    os.lseek(0, 0, os.SEEK_SET)


def _record(letter: bytes, text: str, since: tuple[int, int] = (0, 0)) -> None:
    cpu, wall = (_cpu() - since[0]) // 1000, (_wall() - since[1]) // 1000
    body = text.encode("ascii", "backslashreplace")
    line = b"%c%d:%d %b\n" % (letter, cpu, wall, body.replace(b"\n", b"\\n"))
    sent = _write(CHANNEL, line)
    while sent < len(line):
        sent += _write(CHANNEL, line[sent:])


def _describe(error: BaseException) -> str:
    """Kind, message and line of an error, for people."""
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        message = str(error)[:300]
    except BaseException:  # noqa: BLE001
        message = "(its message cannot be shown)"
    where = f" (line {line})" if line else ""
    return f"{type(error).__name__}: {message}{where}"


# --- loading ---------------------------------------------------------------------------------


def _module(task: Task, name: str) -> dict[str, Any]:
    """The namespace of a fresh main module, with the prelude's names in it."""
    module = types.ModuleType(name)
    namespace = module.__dict__
    sys.modules["__main__"] = sys.modules[name] = module
    if task.namespace is not None:
        namespace.update(task.namespace)
    elif task.suite["prelude"]:
        exec(compile(task.suite["prelude"], "prelude.py", "exec", dont_inherit=True), namespace)
    namespace.update(__name__=name, __file__=FILE, __builtins__=builtins)
    return namespace


def _compiled(task: Task) -> types.CodeType:
    if task.compiled:
        code = marshal.loads(task.compiled)
        assert isinstance(code, types.CodeType)
        return code
    return compile(task.code, FILE, "exec", dont_inherit=True)


# --- stdin -----------------------------------------------------------------------------------


def _run_stdin(task: Task) -> None:
    start = _cpu(), _wall()
    try:
        code = _compiled(task)
    except (SyntaxError, ValueError, UnicodeError, RecursionError) as error:
        _record(b"E", _describe(error))
        return
    if len(task.streams) == 1:
        _run_main(task, code, {}, start)
    elif task.namespace is not None and shared_streams.shareable(code, task.namespace):
        _run_shared(task, code, start)
    else:
        _run_main(task, code, {}, start)
        _part(task, code)


def _run_main(
    task: Task, code: types.CodeType, names: dict[str, Any], start: tuple[int, int]
) -> None:
    """Run the program as `__main__`, in one case."""
    sys.setrecursionlimit(_RECURSION)
    namespace = _module(task, "__main__")
    namespace.update(names)
    try:
        exec(code, namespace)
    except SystemExit:
        pass
    _finish_interpreter()
    namespace.clear()
    if task.mark:
        _write(1, task.mark)
    _record(b"x", "", start)


def _run_shared(task: Task, code: types.CodeType, start: tuple[int, int]) -> None:
    """Run one case after the other, as long as that is safe."""
    assert task.namespace is not None
    streams = shared_streams.Streams(task.namespace)
    names: dict[str, Any] = {}
    for number, data in enumerate(task.streams):
        if number:
            if not streams.untouched((_cpu() - start[0]) / 1e9):
                _part(task, code)
                return
            start = _cpu(), _wall()
            _fill_stdin(data)
            names = streams.renew()
        _run_main(task, code, names, start)


def _part(task: Task, code: types.CodeType) -> None:
    """Ask for a process per case, which need not compile the program again."""
    if task.suite["share_code"]:
        _record(b"c", marshal.dumps(code).hex())
    _record(b"a", "")


def _finish_interpreter() -> None:
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


class OpaqueError(Exception):
    """A value that JSON cannot hold, so that it equals no expected value."""


def _run_functional(task: Task) -> None:
    sys.setrecursionlimit(_RECURSION)
    try:
        namespace = _module(task, "solution")
        code = _compiled(task)
        exec(code, namespace)
        make = _target(task, namespace)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001
        _record(b"E", _describe(error))
        return
    state = State(namespace, code.co_names, task.namespace or {})
    for arguments in task.arguments:
        if not _run_case(make, arguments, task.suite["compat"]) and task.stop:
            break
    _record(b"s", "0" if state.unchanged() else "1")


def _run_case(make: Callable[[], Callable[..., Any]], arguments: list[Any], compat: bool) -> bool:
    """Record what the function answers; False if it raised."""
    start = _cpu(), _wall()
    try:
        text = _encode(make()(*arguments), compat)
        _record(b"o", text, start)
    except OpaqueError as value:
        _record(b"q", str(value), start)
    except MemoryError:
        _record(b"m", "out of memory", start)
        return False
    except BaseException as error:  # noqa: BLE001
        _record(b"e", _describe(error), start)
        return False
    return True


def _target(task: Task, namespace: dict[str, Any]) -> Callable[[], Callable[..., Any]]:
    """A function that returns what is called in one case."""
    entry = task.suite["entry"]
    cls = namespace.get("Solution")
    if cls is not None and hasattr(cls, entry):
        if task.suite["compat"]:
            bound = getattr(cls(), entry)
            return lambda: bound
        return lambda: getattr(cls(), entry)
    function = namespace.get(entry)
    if function is None:
        raise NameError(f"the program defines no function or method {entry!r}")
    return lambda: function


# The C encoder, called directly: quick, and no concern of who patches the json module.
_encode_parts = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, lambda value: _plain(value), json.encoder.encode_basestring_ascii, None, ": ", ", ",
    False, False, True,
)  # fmt: skip


def _dumps(value: Any) -> str:
    return "".join(_encode_parts(value, 0))


def _encode(value: Any, compat: bool) -> str:
    try:
        text = _dumps(value)
    except (ValueError, TypeError) as error:
        text = _encode_again(value, error)
    if ("{" in text and not _string_keys(value)) or (compat and _nested_tuple(value)):
        raise OpaqueError(_excerpt(value))
    return text


def _encode_again(value: Any, error: Exception) -> str:
    if isinstance(error, TypeError):  # a key that is no JSON key
        raise OpaqueError(_excerpt(value)) from None
    if "digits" not in str(error):
        raise error
    sys.set_int_max_str_digits(0)
    try:
        return _dumps(value)
    finally:
        sys.set_int_max_str_digits(4300)


def _plain(value: Any) -> Any:
    """A number of another library as the equal JSON number."""
    name = type(value).__module__.partition(".")[0]
    if name == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    if name in ("decimal", "fractions"):
        for kind in (int, float):
            if kind(value) == value:
                return kind(value)
    raise OpaqueError(_excerpt(value))


def _excerpt(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"[:1000]


def _string_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _string_keys(v) for k, v in value.items())
    return not isinstance(value, list | tuple) or all(map(_string_keys, value))


def _nested_tuple(value: Any, top: bool = True) -> bool:
    if isinstance(value, tuple) and not top:
        return True
    parts = value.values() if isinstance(value, dict) else value
    return isinstance(value, list | tuple | dict) and any(_nested_tuple(v, False) for v in parts)


# --- check and unittest ----------------------------------------------------------------------


def _run_tests(task: Task) -> None:
    alone = task.suite["kind"] == "check"
    sys.setrecursionlimit(_RECURSION if alone else _RECURSION_OF_TESTS)
    nonce = task.proof.pop
    namespace = _module(task, "solution" if alone else "__test__")
    test_code.prove(task.suite, namespace, lambda: exec(_compiled(task), namespace), nonce)


_RUN = {
    "stdin": _run_stdin,
    "functional": _run_functional,
    "check": _run_tests,
    "unittest": _run_tests,
}
