"""Tests that say no more than which answers they expect: `assert candidate(1, [2]) == (3, 4)`.

Most `check` suites consist of such assertions only. Then neither the tests nor the expected values
need enter the sandbox: the program is called with the arguments, and its answers are compared
here, as text (`inside.canonical`).
"""

import ast
from dataclasses import dataclass
from typing import Any

from funprm.executors.inside.canonical import canonical

_LONGEST = 200


class _NotPlainError(Exception):
    """The tests do more than call and compare."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """One call and the answer that is expected."""

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    expected: str
    """The answer's text."""
    source: str


def assertions(code: str, entry: str) -> tuple[Assertion, ...]:
    """The assertions of a `check` suite; none where it does anything else.

    Args:
        code: defines `check(candidate)`.
        entry: the program's name for what is tested, or an expression.
    """
    if code.count("def ") != 1:  # no need to parse what may be megabytes
        return ()
    try:
        found = tuple(a for node in ast.parse(code).body for a in _of_module(node, entry))
        written = calls_source(found)
        if ast.literal_eval(written) != [(a.arguments, a.keywords) for a in found]:
            return ()
    except (_NotPlainError, SyntaxError, ValueError, TypeError, RecursionError):
        return ()
    return found


def calls_source(found: tuple[Assertion, ...]) -> str:
    """The calls as a literal, which is all that the sandbox gets."""
    return repr([(a.arguments, a.keywords) for a in found])


def _of_module(node: ast.stmt, entry: str) -> list[Assertion]:
    if isinstance(node, ast.FunctionDef) and node.name == "check":
        names = {node.args.args[0].arg, entry} if len(node.args.args) == 1 else set[str]()
        if node.decorator_list or node.args.defaults:
            raise _NotPlainError
        return [a for statement in node.body for a in _of_check(statement, names)]
    if isinstance(node, ast.Assign):  # such as METADATA
        ast.literal_eval(node.value)
    elif not _is_text(node):
        raise _NotPlainError
    return []


def _of_check(node: ast.stmt, names: set[str]) -> list[Assertion]:
    if isinstance(node, ast.Pass) or _is_text(node):
        return []
    if not isinstance(node, ast.Assert) or not isinstance(node.msg, ast.Constant | None):
        raise _NotPlainError
    test = node.test
    if isinstance(test, ast.Constant) and test.value is True:
        return []
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        raise _NotPlainError
    call, right = test.left, test.comparators[0]
    nothing = isinstance(right, ast.Constant) and right.value is None
    if not isinstance(test.ops[0], ast.Eq) and not (nothing and isinstance(test.ops[0], ast.Is)):
        raise _NotPlainError
    return [_assertion(call, right, names, ast.unparse(test))]


def _assertion(call: ast.expr, right: ast.expr, names: set[str], source: str) -> Assertion:
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise _NotPlainError
    keywords = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
    if call.func.id not in names or len(keywords) != len(call.keywords):
        raise _NotPlainError
    arguments = tuple(map(ast.literal_eval, call.args))
    expected = canonical(ast.literal_eval(right))
    return Assertion(arguments, keywords, expected, source[:_LONGEST])


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
