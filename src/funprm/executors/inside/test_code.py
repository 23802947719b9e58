"""Test code that shares a process with the program that it tests.

All `unittest` suites do, and `check` suites whose tests call the program with something that is
no plain data. The proof that the tests came to their end is a secret, written to the watcher by the
last of three steps (load, test, finish). An early exit of any kind skips that step. While the
program runs, the secret is in no frame's variables and in no list of the garbage collector.
This stops tricks, not a determined attack: see docs/judging.md. Standard library only.
"""

from __future__ import annotations

import builtins
import functools
import gc
import json
import os
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from funprm.executors import protocol
from funprm.executors.inside.failures import TamperingError, WrongAnswerError
from funprm.executors.inside.guard import Guard
from funprm.executors.inside.shared_equality import own_equality
from funprm.executors.inside.task import TESTS

CHANNEL = 3
_exhaust = deque[object](maxlen=0).extend
_RELIED_ON = ("builtins", "math", "operator", "copy")

Namespace = dict[str, Any]


class Tests(Protocol):
    """Tests that were prepared before the program was loaded.

    Attributes:
        passed: what has passed, to be told with the proof.
    """

    passed: list[str]

    def run(self, namespace: Namespace) -> None:
        """Run them in the program's module."""


def prove(
    tests: Tests,
    namespace: Namespace,
    load: Callable[[], object],
    secret: Callable[[], str],
) -> None:
    """Load the program, run the tests, write the proof.

    Args:
        tests: the tests.
        namespace: the program's global names, with the prelude's in it.
        load: runs the program's top level in `namespace`.
        secret: hands out the only copy of the secret.

    Raises:
        BaseException: whatever the program or the tests raised.
    """
    _exhaust(_steps(tests, namespace, load, secret()))


def _steps(
    tests: Tests, namespace: Namespace, load: Callable[[], object], secret: str
) -> Iterator[object]:
    def finish(
        write: Callable[[int, bytes], int] = os.write,
        record: Callable[[bytes, bytes], bytes] = protocol.record,
        text: Callable[[Any], str] = json.dumps,
        secret: str = secret,
    ) -> None:
        write(CHANNEL, record(b"p", (secret + text(tests.passed)).encode()))

    steps: tuple[Callable[[], object], ...] = (
        gc.freeze,
        load,
        functools.partial(tests.run, namespace),
        finish,
    )
    return map(_call, steps)


def _call(step: Callable[[], object]) -> None:
    try:
        step()
    except StopIteration as error:  # which would look like the end of all steps
        raise RuntimeError("StopIteration") from error


class SharedCheck:
    """A `check` suite in the program's own process.

    Attributes:
        passed: nothing; that they came to their end is enough.
    """

    def __init__(self, entry: str, code: types.CodeType, before: Namespace) -> None:
        """Prepare it, before the program is loaded.

        Args:
            entry: what is tested.
            code: the tests.
            before: names that the prelude bound.
        """
        self._entry, self._before, self._exec = entry, dict(before), exec
        self._code = code
        self._guard = Guard((n, sys.modules[n]) for n in _RELIED_ON if n in sys.modules)
        self._guard.add([("the judge", globals())], closed=True)
        self._own = frozenset(id(v) for v in before.values() if isinstance(v, type))
        self.passed: list[str] = []

    def run(self, namespace: Namespace) -> None:
        """Call `check(candidate)` where built-in and prelude names are the real ones.

        Raises:
            TamperingError: the program changed what tests rely on.
            WrongAnswerError: an assertion failed, or the tests could do nothing with an answer.
            BaseException: whatever the program raised.
        """
        self._guard.check()
        before = self._before
        own = {k: v for k, v in namespace.items() if k not in before and not hasattr(builtins, k)}
        names = {**before, **own, "__builtins__": builtins}
        self._exec(self._code, names)
        judge = names["check"]
        candidate = self._honest(eval(self._entry, {**namespace, "__builtins__": builtins}))
        if self._entry in namespace:  # tests may call it by its name, even if that is `check`
            names[self._entry] = candidate
        try:
            judge(candidate)
        except Exception as error:
            if _innermost_file(error) == TESTS:
                told = f"{type(error).__name__}: {error}; {protocol.SHARED}"
                raise WrongAnswerError(told) from None
            raise
        self._guard.check()

    def _honest(self, candidate: Any) -> Callable[..., Any]:
        """The candidate, except that its answers may not bring their own idea of equality."""

        def call(*args: Any, **kwargs: Any) -> Any:
            value = candidate(*args, **kwargs)
            if own_equality(value, self._trusted):
                raise TamperingError("the program returned an object that defines its own equality")
            return value

        call.__name__ = getattr(candidate, "__name__", type(candidate).__name__)
        call.__doc__ = getattr(candidate, "__doc__", None)
        return call

    def _trusted(self, owner: type) -> bool:
        return id(owner) in self._own


def _innermost_file(error: BaseException) -> str:
    trace, name = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        trace = trace.tb_next
    return name
