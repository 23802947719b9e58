"""A `check` suite in two processes: the tests in one, the program in the other.

They part before the tests are read and before any rights are given up. The program's process
holds neither the tests nor the channel to the watcher, in no descriptor and at no place of its
memory, and the other one cannot be looked into. Only where the tests call the program with
something that is no plain data, and only then, they share a process (`test_code`), and the verdict
says so. Standard library only.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from funprm.executors.inside import syscalls, tester
from funprm.executors.inside.candidate import Server
from funprm.executors.inside.failures import ProgramFailedError, WrongAnswerError
from funprm.executors.inside.plain_data import NotPlainError, classes_of
from funprm.executors.inside.task import Task

_PATIENCE = 0.5
"""Seconds that a process may take to end once its connection is closed."""
CHANNEL = 3
"""In the program's process: the connection to the tests."""
_PR_SET_DUMPABLE = 4


def part(task: Task) -> None:
    """Become two processes, and note in the task which one this is."""
    ours, theirs = socket.socketpair()
    task.candidate = os.fork()
    if task.candidate:
        theirs.close()
        task.link = ours.detach()
        syscalls.prctl(_PR_SET_DUMPABLE, 0)  # its memory and descriptors are nobody's business
    else:
        os.dup2(theirs.detach(), CHANNEL, inheritable=False)
        os.closerange(CHANNEL + 1, 64)
        task.secret, task.tests = "", -1


def classes_of_prelude(task: Task, namespace: Mapping[str, Any]) -> Mapping[str, type]:
    """The classes that the prelude defines; one that was run before only imports."""
    return classes_of(namespace) if task.namespace is None else {}


def serve(
    task: Task,
    namespace: dict[str, Any],
    load: Callable[[], object],
    describe: Callable[[BaseException], str],
) -> None:
    """Be the program's process; never returns.

    Args:
        task: what is tested.
        namespace: the program's global names, with the prelude's in it.
        load: runs the program's top level in `namespace`.
        describe: tells people what an error was.
    """

    def candidate() -> Any:
        load()
        return eval(task.entry, namespace)

    try:
        classes = classes_of_prelude(task, namespace)
        Server(CHANNEL, namespace, classes, describe).serve(candidate)
    finally:
        os._exit(0)


def run(task: Task, source: str, code: types.CodeType, prelude: dict[str, Any]) -> bool:
    """Be the tests' process.

    Args:
        task: what is tested.
        source: of the tests.
        code: the same, compiled.
        prelude: names that the prelude bound.

    Returns:
        False where the tests must share a process with the program.

    Raises:
        WrongAnswerError: an assertion failed, or the tests could do nothing with an answer.
        ProgramFailedError: an error came out of the program.
        MemoryError: an answer is too large.
    """
    sys.set_int_max_str_digits(0)
    connection = tester.Connection(task.link, classes_of_prelude(task, prelude))
    try:
        tester.run(code, task.entry, prelude, connection)
    except NotPlainError:
        pass
    except MemoryError:
        raise
    except tester.ProgramGoneError:
        raise ProgramFailedError(_how_it_ended(task)) from None
    except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt as well)
        if not connection.foreign:
            _blame(error, source)
    finally:
        _end(task)
    return not connection.foreign


def _blame(error: BaseException, tests: str) -> None:
    fault = tester.fault_of_program(error)
    if fault:
        raise ProgramFailedError(fault) from None
    raise WrongAnswerError(tester.describe(error, tests)) from None


def _end(task: Task) -> None:
    """End the program's process, so that what it used counts."""
    os.close(task.link)
    with suppress(OSError):
        os.kill(task.candidate, signal.SIGKILL)
        os.waitpid(task.candidate, 0)


def _how_it_ended(task: Task) -> str:
    """What became of the program's process, which answers no more."""
    end = os.pidfd_open(task.candidate)
    if not select.select([end], [], [], _PATIENCE)[0]:
        return "the program closed its connection to the tests"
    code = os.waitstatus_to_exitcode(os.waitpid(task.candidate, 0)[1])
    if code == -signal.SIGKILL:  # by whom is for the watcher to find out
        os.kill(os.getpid(), signal.SIGKILL)
    return f"killed by signal {-code}" if code < 0 else f"ended with exit code {code} in a call"
