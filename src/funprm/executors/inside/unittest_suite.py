"""Test cases of `unittest` that share a process with the program that they test.

Which tests there are, the host reads from their source (`grading.named_tests`), and it counts only
those that are reported by name. Here they are run by parts of `unittest` that were taken before the
program was loaded; whatever of those, of the tests or of their modules the program replaced is
noticed. What a program can still do in a process that it shares: see docs/judging.md.
Standard library only.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from funprm.executors.inside.failures import ProgramFailedError, TamperingError, WrongAnswerError
from funprm.executors.inside.guard import Guard, is_function
from funprm.executors.inside.shared_equality import own_equality

Namespace = dict[str, Any]
_CHANGING = frozenset({"sys", "warnings", "logging", "threading"})
"""Modules of which programs rightly replace functions."""
_SKIPPED, _FAILING = "__unittest_skip__", "__unittest_expecting_failure__"
_NOTES = {
    "addSuccess": "success",
    "addFailure": "failure",
    "addUnexpectedSuccess": "failure",
    "addError": "error",
    "addSubTest": "subtest",
    "addExpectedFailure": "expected_failure",
    "addSkip": "skip",
}


class Suite:
    """The tests, prepared before the program is loaded.

    Attributes:
        passed: names of the tests that have passed.
    """

    def __init__(self, tests: str) -> None:
        """Compile the tests, and import what they import, so that they get the real modules.

        Args:
            tests: source that defines `class TestCases(unittest.TestCase)`.

        Raises:
            SyntaxError: they are no Python.
        """
        import unittest  # not before: most programs need none of it
        from unittest import case

        self._unittest = unittest
        self._machinery: tuple[type, ...] = (
            *(unittest.TestCase, unittest.TestResult, unittest.TestSuite, unittest.BaseTestSuite),
            unittest.FunctionTestCase,
        )
        if "IsolatedAsyncioTestCase" in tests:
            self._machinery += (unittest.IsolatedAsyncioTestCase,)
        self._file = f"tests-{os.urandom(8).hex()}.py"  # no code of the program has this name
        tree = ast.parse(tests, self._file)
        self._code = compile(tree, self._file, "exec", dont_inherit=True)
        self._modules = _imported(tree)
        self._refuse_own_equality()
        case._ShouldStop = ()  # type: ignore[attr-defined]  # else it leaves a test as if it had passed
        self._guard = Guard((cls.__name__, cls) for cls in self._machinery)
        self._guard.add([("the judge", globals())], closed=True)
        self._guard.add((module.__name__, module) for module in (unittest, case, builtins))
        self._hooks = [*sys.meta_path], [*sys.path_hooks]
        self._libraries = Guard(m for m in self._modules.items() if m[0] not in _CHANGING)
        self._exec, self._suite = exec, unittest.TestSuite
        self.passed: list[str] = []
        self._failures: list[Exception] = []

    def run(self, namespace: Namespace) -> None:
        """Run the tests in the program's own module.

        Raises:
            TamperingError: the program changed what they rely on.
            WrongAnswerError: a test failed, or was skipped.
            ProgramFailedError: a test met an error.
            BaseException: the tests cannot be loaded.
        """
        self._check_imports()
        self._exec(self._code, namespace)
        cases = namespace["TestCases"]
        self._check_bases(cases)
        self._guard.add(
            (cls.__name__, cls) for cls in type.mro(cases) if cls is not self._machinery[0]
        )
        names = sorted(
            n for n in dir(cases) if n.startswith("test") and callable(getattr(cases, n))
        )
        result = self._result(cases)
        self._suite(map(cases, names)).run(result)
        self._guard.check()
        if vars(result).keys() & _NOTES.keys():
            raise TamperingError("the program changed the record of test results")
        if self._failures:
            raise self._failures[0]

    def _check_imports(self) -> None:
        self._guard.check()
        self._libraries.check()
        if self._hooks != ([*sys.meta_path], [*sys.path_hooks]):
            raise TamperingError("the program changed how modules are imported")
        for name, module in {**self._modules, "unittest": self._unittest}.items():
            if sys.modules.get(name) is not module:
                raise TamperingError(f"the program replaced the module {name}")

    def _check_bases(self, cases: Any) -> None:
        """Every class that the test cases derive from is one of the tests' own, or unittest's."""
        for cls in type.mro(cases)[:-1]:
            functions = [v for v in vars(cls).values() if is_function(v)]
            own = not functions or any(map(self._is_own, functions))
            if cls not in self._machinery and not own:
                raise TamperingError(f"tests derive from {cls.__name__}, which is none of theirs")

    def _is_own(self, function: Any) -> bool:
        """Whether a function, or what it wraps, stands in the source of the tests."""
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        return type(function) is types.FunctionType and function.__code__.co_filename == self._file

    def _refuse_own_equality(self) -> None:
        """Let `assertEqual` fail where only one side brings its own idea of equality."""
        base: Any = self._unittest.TestCase
        real = base._getAssertEqualityFunc

        def choose(test: Any, first: Any, second: Any) -> Any:
            if type(first) is not type(second) or type(first) in (list, tuple, dict):
                sides = [own_equality(value, self._defines_own) for value in (first, second)]
                if sides[0] != sides[1]:
                    raise test.failureException("an answer that defines its own equality")
            return real(test, first, second)

        base._getAssertEqualityFunc = choose

    def _defines_own(self, owner: type) -> bool:
        return self._is_own(vars(owner)["__eq__"])

    def _result(self, cases: Any) -> Any:
        """A test result that counts in an object to which no attribute leads."""
        notes = _Notes(cases, self._guard.check, self.passed, self._failures)
        methods = {name: _method(getattr(notes, note)) for name, note in _NOTES.items()}
        kind = type("Tally", (self._unittest.TestResult,), methods)
        self._guard.add([("the result of tests", kind)])
        return kind()


def _method(note: Callable[..., None]) -> Callable[..., None]:
    return lambda result, *args: note(*args)


class _Notes:
    """Takes down what becomes of tests."""

    def __init__(
        self,
        cases: Any,
        check: Callable[[], None],
        passed: list[str],
        failures: list[Exception],
    ) -> None:
        """Note from the class, still untouched, which tests may be skipped or fail."""
        self._cases, self._check, self._passed, self._failures = cases, check, passed, failures
        self._marks = {
            (name, mark)
            for name in dir(cases)
            for mark in (_SKIPPED, _FAILING)
            if getattr(getattr(cases, name), mark, False)
        }

    def success(self, test: Any) -> None:
        self._check()
        if type(test) is not self._cases:
            raise TamperingError("a test that is none was reported")
        self._passed.append(test._testMethodName)

    def failure(self, test: Any, reason: Any = None) -> None:
        name = getattr(test, "_testMethodName", None) or str(test)
        self._failures.append(WrongAnswerError(f"{name}: {_told(reason)}"))

    def error(self, test: Any, reason: Any) -> None:
        self._failures.append(ProgramFailedError(f"{test}: {_told(reason)}"))

    def subtest(self, test: Any, subtest: Any, reason: Any) -> None:
        if reason is not None:
            self.failure(test, reason)

    def expected_failure(self, test: Any, reason: Any) -> None:
        marked = (test._testMethodName, _FAILING) in self._marks
        self.success(test) if marked else self.failure(test, reason)

    def skip(self, test: Any, reason: Any) -> None:
        """The host knows which tests need not run; no other one may be skipped while it runs."""
        if (getattr(test, "_testMethodName", ""), _SKIPPED) not in self._marks:
            self.failure(test, f"skipped: {reason}")


def _imported(tree: ast.Module) -> dict[str, types.ModuleType]:
    """The standard modules that the tests import; they are imported now."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    standard = [n for n in names if n.partition(".")[0] in sys.stdlib_module_names]
    for name in standard:
        try:
            __import__(name)
        except Exception:  # noqa: BLE001  (the tests will say so)
            pass
    return {name: sys.modules[name] for name in standard if name in sys.modules}


def _told(reason: Any) -> str:
    """Why a test did not pass: an error, words, or nothing."""
    if isinstance(reason, tuple):
        return f"{reason[0].__name__}: {reason[1]}"
    return reason or "unexpected success"
