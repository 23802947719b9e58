"""Test code that shares a process with the program that it tests (`check`, `unittest`).

The proof that the tests came to their end is a nonce, written to the warm parent by the last of
three steps. An early exit of any kind skips that step. While the program runs, the nonce is
in no frame's variables and in no list of the garbage collector; the built-in names and the parts
of `unittest` that decide are compared with what they were before the program was loaded.
This stops tricks, not a determined attack: see docs/judging.md. Standard library only.
"""

from __future__ import annotations

import builtins
import gc
import os
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

CHANNEL = 3
_exhaust = deque[object](maxlen=0).extend
_HEAP_TYPE = 1 << 9
_ATOMS = frozenset({int, float, str, bytes, bool, complex, type(None)})

Namespace = dict[str, Any]


class TamperingError(Exception):
    """The program changed something that the tests rely on."""


def prove(
    suite: dict[str, Any],
    namespace: Namespace,
    load: Callable[[], object],
    nonce: Callable[[], bytes],
) -> None:
    """Load the program, run the tests, write the proof.

    Args:
        suite: `kind`, `entry` and `tests` are used.
        namespace: the program's global names, with the prelude's in it.
        load: runs the program's top level in `namespace`.
        nonce: hands out the only copy of the record that proves it.

    Raises:
        BaseException: whatever the program or the tests raised.
    """
    _exhaust(_steps(suite, namespace, load, nonce()))


def _steps(
    suite: dict[str, Any], namespace: Namespace, load: Callable[[], object], nonce: bytes
) -> Iterator[object]:
    untouched = _guard(suite["kind"])
    before = dict(namespace)
    run = _check if suite["kind"] == "check" else _unittest

    def test() -> None:
        untouched()
        run(suite, namespace, before, untouched)
        untouched()

    def finish(write: Callable[[int, bytes], int] = os.write, proof: bytes = nonce) -> None:
        write(CHANNEL, proof)

    return map(_call, (gc.freeze, load, test, finish))


def _call(step: Callable[[], object]) -> None:
    step()


def _guard(kind: str) -> Callable[[], None]:
    """A function that raises TamperingError once a name that the tests rely on was replaced."""
    names = ["builtins", "math", "operator", "copy"]
    places: list[tuple[str, Any]] = [(n, sys.modules[n]) for n in names if n in sys.modules]
    if kind == "unittest":
        import unittest
        from unittest import case

        classes = (unittest.TestCase, unittest.TestResult, unittest.TestSuite, *_bases(unittest))
        places += [(cls.__name__, cls) for cls in classes]
        places.append(("unittest.case", case))
    kept = [(name, place, _functions(place)) for name, place in places]

    def untouched() -> None:
        for name, place, before in kept:
            now = vars(place)
            for key, value, code in before:
                if now.get(key) is not value or getattr(value, "__code__", None) is not code:
                    raise TamperingError(f"the program changed {name}.{key}, which tests rely on")

    return untouched


def _bases(unittest: types.ModuleType) -> tuple[type, ...]:
    return (unittest.BaseTestSuite, unittest.FunctionTestCase)


def _functions(place: Any) -> list[tuple[str, Any, Any]]:
    skip = ("_", "__doc__", "__warningregistry__")
    return [(k, v, getattr(v, "__code__", None)) for k, v in vars(place).items() if k not in skip]


# --- check -----------------------------------------------------------------------------------


def _check(
    suite: dict[str, Any], namespace: Namespace, before: Namespace, untouched: object
) -> None:
    """Call `check(candidate)` in a namespace where built-in and prelude names are the real ones."""
    own = {k: v for k, v in namespace.items() if k not in before and not hasattr(builtins, k)}
    names = {**before, **own, "__builtins__": builtins}
    exec(compile(suite["tests"], "tests.py", "exec", dont_inherit=True), names)
    known = frozenset(map(id, _classes(before)))
    entry, judge = suite["entry"], names["check"]
    candidate = _honest(eval(entry, {**namespace, "__builtins__": builtins}), known)
    if entry in namespace:  # tests may call it by its name, even if that is `sum` or `check`
        names[entry] = candidate
    judge(candidate)


def _classes(before: Namespace) -> list[type]:
    return [v for v in before.values() if isinstance(v, type)]


def _honest(candidate: Any, known: frozenset[int]) -> Any:
    """The candidate, except that its answers may not bring their own idea of equality."""
    if not isinstance(candidate, types.FunctionType | types.MethodType):
        return candidate

    def call(*args: Any, **kwargs: Any) -> Any:
        value = candidate(*args, **kwargs)
        if type(value) not in _ATOMS and not _plain(value, known, 0):
            raise TamperingError("the program returned an object that defines its own equality")
        return value

    call.__name__, call.__doc__ = candidate.__name__, candidate.__doc__
    return call


def _plain(value: Any, known: frozenset[int], depth: int) -> bool:
    kind = type(value)
    if kind in _ATOMS or depth > 20:
        return True
    if kind in (list, tuple, set, frozenset):
        return all(_plain(v, known, depth + 1) for v in value)
    if kind is dict:
        return all(_plain(v, known, depth + 1) for pair in value.items() for v in pair)
    owner = next((c for c in kind.__mro__ if "__eq__" in vars(c)), object)
    if not owner.__flags__ & _HEAP_TYPE or id(owner) in known:
        return True
    module = sys.modules.get(owner.__module__)
    return module is not sys.modules["__main__"] and getattr(module, owner.__name__, 0) is owner


# --- unittest --------------------------------------------------------------------------------


def _unittest(
    suite: dict[str, Any], namespace: Namespace, before: object, untouched: Callable[[], None]
) -> None:
    """Run `TestCases`; at least one test must run, and none may fail."""
    import unittest

    exec(compile(suite["tests"], "tests.py", "exec", dont_inherit=True), namespace)
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(namespace["TestCases"])
    passed: list[str] = []
    failures: list[str] = []

    def note_pass(*_: Any) -> None:
        untouched()
        passed.append("")

    def note_failure(test: Any, *rest: Any) -> None:
        error = rest[-1] if rest else (AssertionError, "unexpected success")
        if error is not None:
            name = getattr(test, "_testMethodName", None) or str(test)
            failures.append(f"{name}: {error[0].__name__}: {error[1]}")

    result, methods = _tally(unittest.TestResult, note_pass, note_failure)
    tests.run(result)
    if vars(result).keys() & methods or any(
        vars(type(result)).get(name) is not method for name, method in methods.items()
    ):
        raise TamperingError("the program changed the record of test results")
    if failures:
        raise AssertionError(failures[0])
    if not passed and not suite["compat"]:
        raise AssertionError("no test ran")


def _tally(
    base: type, note_pass: Callable[..., None], note_failure: Callable[..., None]
) -> tuple[Any, dict[str, Any]]:
    """A test result that counts in variables, which no attribute leads to; and its methods."""
    methods = {
        **dict.fromkeys(("addSuccess", "addExpectedFailure"), note_pass),
        **dict.fromkeys(("addFailure", "addError", "addSubTest"), note_failure),
        "addUnexpectedSuccess": note_failure,
    }
    hidden = {name: lambda self, *args, note=note: note(*args) for name, note in methods.items()}
    return type("Tally", (base,), dict(hidden))(), hidden
