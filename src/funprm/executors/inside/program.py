"""One untrusted program, in a process of its own forked from the zygote.

`run` never returns. Everything here shares the process with the program, so nothing here is
believed outside, except the proof that ends a `check` or `unittest` suite. What it tells the
watcher are the records of `protocol`. Standard library only.
"""

from __future__ import annotations

import builtins
import gc
import json
import marshal
import os
import sys
import time
import types
from collections.abc import Callable
from typing import Any

from funprm.executors import protocol
from funprm.executors.inside import (
    check_suite,
    shared_streams,
    stateless,
    test_code,
    unittest_suite,
)
from funprm.executors.inside.canonical import canonical
from funprm.executors.inside.failures import ProgramFailedError, WrongAnswerError
from funprm.executors.inside.shared_calls import State
from funprm.executors.inside.stateless import Library, Proof
from funprm.executors.inside.task import Task

FILE = "program.py"
CHANNEL = 3
_TESTS = 4
_NOT_READY = 71
"""Exit code of a process that could not be made ready for its program."""
_RECURSION = 50_000
_RECURSION_OF_TESTS = sys.getrecursionlimit()
"""Of `unittest` suites; a prelude in the zygote may have raised it for other suites."""
_WARM = (
    "typing collections heapq math re string datetime copy random statistics itertools functools"
    " operator io bisect decimal fractions threading traceback atexit"
)
_write = os.write
_cpu, _wall = time.thread_time_ns, time.monotonic_ns


_MOST_DIGITS = 50_000
"""Of integers that programs print or read, as officially."""


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
    stateless.warm()
    sys.modules["random"].seed(0)
    sys.set_int_max_str_digits(_MOST_DIGITS)
    sys.argv = [FILE]
    compile("0", FILE, "eval")  # makes the types of syntax trees


def _restore_fork_hooks() -> None:
    """Give a program that may fork what `warm` held back."""
    random, threading = sys.modules["random"], sys.modules["threading"]
    os.register_at_fork(after_in_child=random._inst.seed)
    os.register_at_fork(after_in_child=threading._after_fork)


def run(enter: Callable[[], Task]) -> None:
    """Run a program and leave the process.

    Args:
        enter: makes the process ready and says what it must run.
    """
    gc.freeze()  # what the zygote knows is out of reach for the garbage collector's lists
    try:
        task = enter()
        if task.kind == "check":
            check_suite.part(task)
        task.confine()
    except BaseException:  # noqa: BLE001  (no program has run: its empty output is no answer)
        os._exit(_NOT_READY)
    try:
        _RUN[task.kind](task)
    except MemoryError:
        _record(b"m", "out of memory")
    except WrongAnswerError as error:
        _record(b"w", str(error))
    except ProgramFailedError as error:
        _record(b"e", str(error))
    except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt as well)
        _record(b"e", _describe(error))
    os._exit(0)


def connect(task: Task, channel: int, streams: list[int]) -> None:
    """Connect the standard streams and the channel, close all else.

    Args:
        task: what will run; its tests, if any, stay open.
        channel: takes records.
        streams: what takes the program's output, and an empty file for its input; or nothing.
    """
    null = os.open("/dev/null", os.O_RDWR)  # a description of its own: its flags stay with it
    for fd in range(3):
        os.dup2(null, fd)
    if streams:
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 0)
        _fill_stdin(task.inputs[0])
    os.dup2(channel, CHANNEL, inheritable=False)
    if task.tests >= 0:
        task.tests = os.dup2(task.tests, _TESTS, inheritable=False)
    os.closerange(CHANNEL + 1 + (task.tests >= 0), 4096)
    if task.processes:
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


def _record(letter: bytes, text: str | bytes, since: tuple[int, int] | None = None) -> None:
    cpu, wall = ((_cpu() - since[0]) // 1000, (_wall() - since[1]) // 1000) if since else (0, 0)
    body = text if isinstance(text, bytes) else text.encode("ascii", "backslashreplace")
    if len(body) > protocol.MOST_RECORD:
        letter, body = b"l", b""
    view = memoryview(protocol.record(letter, body, cpu, wall))
    while view:
        view = view[_write(CHANNEL, view) :]


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
    elif task.prelude:
        exec(compile(task.prelude, "prelude.py", "exec", dont_inherit=True), namespace)
    namespace.update(__name__=name, __file__=FILE, __builtins__=builtins)
    return namespace


def _compiled(task: Task) -> types.CodeType:
    if task.compiled:
        code = marshal.loads(task.compiled)
        assert isinstance(code, types.CodeType)
        return code
    return compile(task.code, FILE, "exec", dont_inherit=True)


def _proof(task: Task, code: types.CodeType) -> Proof | None:
    """That the task's cases may share this process; else says so before anything has run."""
    if len(task.inputs) == 1:
        return None
    names = {} if not task.prelude else task.namespace
    if names is not None:
        proof = Proof(code, names)
        if proof.holds:
            return proof
    _record(b"c", marshal.dumps(code))
    _record(b"a", b"")
    return None


# --- stdin -----------------------------------------------------------------------------------


def _run_stdin(task: Task) -> None:
    start = _cpu(), _wall()
    try:
        code = _compiled(task)
    except (SyntaxError, ValueError, UnicodeError, RecursionError) as error:
        _record(b"E", _describe(error))
        return
    proof = _proof(task, code)
    if proof:
        _run_shared(task, code, start, proof)
    else:
        _run_main(task, code, {}, start, b"")


def _run_main(
    task: Task, code: types.CodeType, names: dict[str, Any], start: tuple[int, int], mark: bytes
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
    if mark:
        _write(1, mark)
    _record(b"x", b"", start)


def _run_shared(task: Task, code: types.CodeType, start: tuple[int, int], proof: Proof) -> None:
    """Run one case after the other, as long as that is safe."""
    library = Library(proof)
    streams = shared_streams.Streams(task.namespace or {})
    names: dict[str, Any] = {}
    for number, data in enumerate(task.inputs):
        if number:
            untouched = streams.untouched((_cpu() - start[0]) / 1e9)
            if not untouched or not library.unchanged(limit=False):
                _record(b"a", b"")
                return
            start = _cpu(), _wall()
            _fill_stdin(data)
            names = streams.renew()
        _run_main(task, code, names, start, bytes.fromhex(task.secret))


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
        code = _compiled(task)
        proof = None if task.compat else _proof(task, code)
        namespace = _module(task, "solution")
        exec(code, namespace)
        make = _target(task, namespace)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001
        _record(b"E", _describe(error))
        return
    state = State(proof, namespace, code.co_names) if proof else None
    for number, arguments in enumerate(task.arguments()):
        if number and not task.compat and not (state and state.unchanged()):
            _record(b"a", b"")
            return
        if not _run_case(make, arguments, task.compat) and task.stop:
            return


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
        sys.set_int_max_str_digits(_MOST_DIGITS)


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


def _run_calls(task: Task) -> None:
    """Answer the calls of a `check` suite whose assertions the host looks after itself."""
    sys.setrecursionlimit(_RECURSION)
    namespace = _module(task, "solution")
    _loader(task, namespace)()
    candidate = eval(task.entry, namespace)
    for call in marshal.loads(task.inputs[0]):
        args, kwargs = marshal.loads(call)
        try:
            answer = _text_of(candidate(*args, **kwargs))
        except MemoryError:
            raise
        except BaseException as error:  # noqa: BLE001
            _record(b"o", f"!{_describe(error)}".replace("\n", " "))
            break
        _record(b"o", f"{answer}\n")
    _record(b"x", b"")


def _text_of(value: Any) -> str:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return canonical(value)
    finally:
        sys.set_int_max_str_digits(limit)


def _run_check(task: Task) -> None:
    sys.setrecursionlimit(_RECURSION)
    namespace = _module(task, "solution")
    if not task.candidate:
        check_suite.serve(task, namespace, _loader(task, namespace), _describe)
    source, code = task.read_tests()
    if check_suite.run(task, source, code, namespace):
        _record(b"p", f"{task.secret}[]")
    else:
        _prove(task, test_code.SharedCheck(task.entry, code, namespace), namespace)


def _run_unittest(task: Task) -> None:
    sys.setrecursionlimit(_RECURSION_OF_TESTS)
    suite = unittest_suite.Suite(task.read_tests()[0])
    _prove(task, suite, _module(task, "__test__"))


def _prove(task: Task, tests: test_code.Tests, namespace: dict[str, Any]) -> None:
    secret = [task.secret]
    task.secret = ""
    test_code.prove(tests, namespace, _loader(task, namespace), secret.pop)


def _loader(task: Task, namespace: dict[str, Any]) -> Callable[[], None]:
    return lambda: exec(_compiled(task), namespace)


_RUN = {
    "stdin": _run_stdin,
    "functional": _run_functional,
    "calls": _run_calls,
    "check": _run_check,
    "unittest": _run_unittest,
}
