"""One untrusted program, in a process of its own forked from the zygote.

`run` never returns. Everything here shares the process with the program, so nothing here is
believed outside, except the proof that ends a `check` or `unittest` suite. What it tells the
watcher are the records of `protocol`. Standard library only.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from collections.abc import Callable
from typing import Any

from funprm.executors.inside import by_cases, check_suite, stateless, test_code, unittest_suite
from funprm.executors.inside.answers import MOST_DIGITS
from funprm.executors.inside.canonical import canonical
from funprm.executors.inside.channel import CHANNEL, FILE, describe, record
from funprm.executors.inside.failures import ProgramFailedError, WrongAnswerError
from funprm.executors.inside.loading import compiled, fresh_module
from funprm.executors.inside.task import Task

_NOT_READY = 71
"""Exit code of a process that could not be made ready for its program."""
_RECURSION_OF_TESTS = sys.getrecursionlimit()
"""Of `unittest` suites; a prelude in the zygote may have raised it for other suites."""
_WARM = (
    "typing collections heapq math re string datetime copy random statistics itertools functools"
    " operator io bisect decimal fractions threading traceback atexit"
)


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
    sys.set_int_max_str_digits(MOST_DIGITS)
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
        RUN[task.kind](task)
    except MemoryError:
        record(b"m", "out of memory")
    except WrongAnswerError as error:
        record(b"w", str(error))
    except ProgramFailedError as error:
        record(b"e", str(error))
    except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt as well)
        record(b"e", describe(error))
    os._exit(0)


def connect(task: Task, channel: int, streams: list[int]) -> None:
    """Connect the standard streams and the channel, close all else.

    Args:
        task: what will run; its tests or its gate, if any, stay open.
        channel: takes records.
        streams: what takes the program's output, and an empty file for its input; or nothing.
    """
    null = os.open("/dev/null", os.O_RDWR)  # a description of its own: its flags stay with it
    for fd in range(3):
        os.dup2(null, fd)
    if streams:
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 0)
        by_cases.fill_stdin(task.inputs[0])
    os.dup2(channel, CHANNEL, inheritable=False)
    last = CHANNEL
    for name in ("tests", "gate"):  # no task has both
        if getattr(task, name) >= 0:
            last = os.dup2(getattr(task, name), CHANNEL + 1, inheritable=False)
            setattr(task, name, last)
    os.closerange(last + 1, 4096)
    if task.processes:
        _restore_fork_hooks()
    gc.enable()


# --- check and unittest ----------------------------------------------------------------------


def _run_calls(task: Task) -> None:
    """Answer the calls of a `check` suite whose assertions the host looks after itself."""
    sys.setrecursionlimit(by_cases.RECURSION)
    namespace = fresh_module(task, "solution")
    _loader(task, namespace)()
    candidate = eval(task.entry, namespace)
    for call in marshal.loads(task.inputs[0]):
        args, kwargs = marshal.loads(call)
        try:
            answer = _text_of(candidate(*args, **kwargs))
        except MemoryError:
            raise
        except BaseException as error:  # noqa: BLE001
            record(b"o", f"!{describe(error)}".replace("\n", " "))
            break
        record(b"o", f"{answer}\n")
    record(b"x", b"")


def _text_of(value: Any) -> str:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return canonical(value)
    finally:
        sys.set_int_max_str_digits(limit)


def _run_check(task: Task) -> None:
    sys.setrecursionlimit(by_cases.RECURSION)
    namespace = fresh_module(task, "solution")
    if not task.candidate:
        check_suite.serve(task, namespace, _loader(task, namespace), describe)
    source, code = task.read_tests()
    if check_suite.run(task, source, code, namespace):
        record(b"p", f"{task.secret}[]")
    else:
        record(b"s", b"")
        _prove(task, test_code.SharedCheck(task.entry, code, namespace), namespace)


def _run_unittest(task: Task) -> None:
    sys.setrecursionlimit(_RECURSION_OF_TESTS)
    suite = unittest_suite.Suite(task.read_tests()[0])
    _prove(task, suite, fresh_module(task, "__test__"))


def _prove(task: Task, tests: test_code.Tests, namespace: dict[str, Any]) -> None:
    secret = [task.secret]
    task.secret = ""
    test_code.prove(tests, namespace, _loader(task, namespace), secret.pop)


def _loader(task: Task, namespace: dict[str, Any]) -> Callable[[], None]:
    return lambda: exec(compiled(task), namespace)


RUN = {
    "stdin": by_cases.run_stdin,
    "functional": by_cases.run_functional,
    "calls": _run_calls,
    "check": _run_check,
    "unittest": _run_unittest,
}
