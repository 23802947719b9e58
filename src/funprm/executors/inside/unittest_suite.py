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
import unittest
from typing import Any
from unittest import case

from funprm.executors.inside.failures import ProgramFailedError, TamperingError, WrongAnswerError
from funprm.executors.inside.guard import Guard
from funprm.executors.inside.shared_equality import own_equality

Namespace = dict[str, Any]
_CHANGING = frozenset({"sys", "warnings", "logging", "threading"})
"""Modules of which programs rightly replace functions."""
_MACHINERY: tuple[type, ...] = (
    unittest.TestCase,
    unittest.TestResult,
    unittest.TestSuite,
    unittest.BaseTestSuite,
    unittest.FunctionTestCase,
    unittest.IsolatedAsyncioTestCase,
)


_NOT_PASSED = ("addFailure", "addSkip", "addUnexpectedSuccess")


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
        self._file = f"tests-{os.urandom(8).hex()}.py"  # no code of the program has this name
        tree = ast.parse(tests, self._file)
        self._code = compile(tree, self._file, "exec", dont_inherit=True)
        self._modules = _imported(tree)
        self._refuse_own_equality()
        case._ShouldStop = ()  # type: ignore[attr-defined]  # else it leaves a test as if it had passed
        self._guard = Guard((cls.__name__, cls) for cls in _MACHINERY)
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
        self._guard.add((cls.__name__, cls) for cls in type.mro(cases) if cls not in _MACHINERY[:1])
        names = sorted(
            n for n in dir(cases) if n.startswith("test") and callable(getattr(cases, n))
        )
        result, methods = self._result(cases)
        self._suite(map(cases, names)).run(result)
        self._guard.check()
        if vars(result).keys() & methods.keys():
            raise TamperingError("the program changed the record of test results")
        if self._failures:
            raise self._failures[0]

    def _check_imports(self) -> None:
        self._guard.check()
        self._libraries.check()
        if self._hooks != ([*sys.meta_path], [*sys.path_hooks]):
            raise TamperingError("the program changed how modules are imported")
        for name, module in {**self._modules, "unittest": unittest}.items():
            if sys.modules.get(name) is not module:
                raise TamperingError(f"the program replaced the module {name}")

    def _check_bases(self, cases: Any) -> None:
        """Every class that the test cases derive from is one of the tests' own, or unittest's."""
        for cls in type.mro(cases)[:-1]:
            if cls not in _MACHINERY and not any(map(self._is_own, vars(cls).values())):
                raise TamperingError(f"tests derive from {cls.__name__}, which is none of theirs")

    def _is_own(self, function: Any) -> bool:
        """Whether a function, or what it wraps, stands in the source of the tests."""
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        return type(function) is types.FunctionType and function.__code__.co_filename == self._file

    def _refuse_own_equality(self) -> None:
        """Let `assertEqual` fail where only one side brings its own idea of equality."""
        base: Any = unittest.TestCase
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

    def _result(self, cases: Any) -> tuple[Any, dict[str, Any]]:
        """A test result that counts in variables, which no attribute leads to; and its methods."""
        passed, failures, check, real = self.passed, self._failures, self._guard.check, cases

        def note_pass(result: object, test: Any) -> None:
            check()
            if type(test) is not real:
                raise TamperingError("a test that is none was reported")
            passed.append(test._testMethodName)

        def note_failure(result: object, test: Any, *rest: Any) -> None:
            name = getattr(test, "_testMethodName", None) or str(test)
            failures.append(WrongAnswerError(f"{name}: {_reason(*rest)}"))

        def note_error(result: object, test: Any, error: Any) -> None:
            failures.append(ProgramFailedError(f"{test}: {_reason(error)}"))

        def note_subtest(result: object, test: Any, subtest: Any, error: Any) -> None:
            if error is not None:
                note_failure(result, test, error)

        def note_expected(result: object, test: Any, error: Any) -> None:
            note_pass(result, test) if test._testMethodName in failing else note_failure(
                result, test, error
            )

        failing = {n for n in dir(cases) if _expects_failure(getattr(cases, n))}
        methods: dict[str, Any] = dict.fromkeys(_NOT_PASSED, note_failure)
        methods["addExpectedFailure"] = note_expected
        methods |= {"addSuccess": note_pass, "addSubTest": note_subtest, "addError": note_error}
        result = type("Tally", (unittest.TestResult,), dict(methods))
        self._guard.add([("the result of tests", result)])
        return result(), methods


def _expects_failure(test: Any) -> bool:
    return bool(getattr(test, "__unittest_expecting_failure__", False))


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


def _reason(detail: Any = None) -> str:
    """Why a test did not pass: an error, a reason to skip it, or an unexpected success."""
    if isinstance(detail, tuple):
        return f"{detail[0].__name__}: {detail[1]}"
    return f"skipped: {detail}" if isinstance(detail, str) else "unexpected success"
