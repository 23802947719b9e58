"""How readable and reusable a program is, by its syntax tree: nothing is run.

Docstrings, comments and layout do not change any number but `documented`: lines are those of the
program without docstrings, as `ast.unparse` writes it.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from funprm.python_source import parsed

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (*_FUNCTIONS, ast.ClassDef, ast.Module)
_NESTING = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar,
    ast.Match, *_FUNCTIONS,
)  # fmt: skip
_HARMLESS = (*_FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """Measures of one program. Fields with a docstring that ends in (+) are better when greater."""

    lines: float
    """Lines of code, docstrings and comments apart."""
    functions: float
    """Functions and methods."""
    longest: float
    """Lines of the longest function; of a program without one, all lines."""
    complexity: float
    """Cyclomatic complexity (McCabe 1976) of the most complex function, or of what is in none."""
    nesting: float
    """Depth of the deepest statement within a function, or within none; 0: no block at all."""
    documented: float | None
    """Share of functions with a docstring; None: there are no functions. (+)"""
    reused: float
    """Functions that are called at two places or more. (+)"""
    dead: float
    """Functions that nothing refers to, but for one entry point where no code runs by itself."""
    importable: float
    """1 where importing it does nothing but define names, else 0. (+)"""


def quality_of(code: str) -> Quality | None:
    r"""The measures of a program; None where it does not parse, or is empty.

    >>> quality_of('def f(x):\n    "Twice x."\n    return 2 * x\n').documented
    1.0
    """
    tree = parsed(code)
    if not tree.body:
        return None
    functions = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    documented = [ast.get_docstring(node) is not None for node in functions]
    outside = _outside(tree)
    parts: list[ast.AST] = [*functions, outside]
    _strip_docstrings(tree)
    return Quality(
        lines=_lines(tree),
        functions=len(functions),
        longest=max(map(_lines, functions), default=_lines(tree)),
        complexity=max(map(cyclomatic_complexity, parts)),
        nesting=max(map(_depth, parts)),
        documented=sum(documented) / len(documented) if documented else None,
        reused=_reused(tree, functions),
        dead=_dead(tree, functions),
        importable=float(all(map(_is_harmless, tree.body))),
    )


def cyclomatic_complexity(node: ast.AST) -> int:
    """1 + the decisions in a piece of code, those of nested functions included.

    Decisions are `if`, `elif` and conditional expressions, loops and their `else`, `except` and
    the `else` of `try`, cases but `_`, loops and conditions of comprehensions, `and` and `or`
    (each beyond the first operand): as radon counts them.
    """
    return 1 + sum(map(_decisions, ast.walk(node)))


def _decisions(node: ast.AST) -> int:
    match node:
        case ast.If() | ast.IfExp():
            return 1
        case ast.For() | ast.AsyncFor() | ast.While():
            return 1 + bool(node.orelse)
        case ast.Try() | ast.TryStar():
            return len(node.handlers) + bool(node.orelse)
        case ast.BoolOp():
            return len(node.values) - 1
        case ast.comprehension():
            return 1 + len(node.ifs)
        case ast.Match():
            return sum(not _is_wildcard(case) for case in node.cases)
        case _:
            return 0


def _is_wildcard(case: ast.match_case) -> bool:
    return isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def _outside(tree: ast.Module) -> ast.Module:
    """What a program does outside functions and classes."""
    kept = [s for s in tree.body if not isinstance(s, (*_FUNCTIONS, ast.ClassDef))]
    return ast.Module(body=kept, type_ignores=[])


def _strip_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])


def _lines(node: ast.AST) -> int:
    return sum(bool(line.strip()) for line in ast.unparse(node).splitlines())


def _depth(node: ast.AST) -> int:
    """How deep blocks stand in each other below a node; an `elif` is as deep as its `if`."""
    deepest = 0
    for child in _statements(node):
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        inner = _depth(child)
        deepest = max(deepest, inner + (isinstance(child, _NESTING) and not chained))
    return deepest


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Statements directly below a node."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from child.body


def _reused(tree: ast.Module, functions: list[FunctionNode]) -> int:
    calls = Counter(_name(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sum(calls[name] > 1 for name in {function.name for function in functions})


def _dead(tree: ast.Module, functions: list[FunctionNode]) -> int:
    """Functions that are named nowhere but in themselves; dunder methods are called unseen."""
    named = Counter(_name(node) for node in ast.walk(tree))
    own = {
        function.name: sum(_name(node) == function.name for node in ast.walk(function))
        for function in functions
    }
    unused = [
        n for n in own if named[n] <= own[n] and not (n.startswith("__") and n.endswith("__"))
    ]
    entry = int(all(map(_is_harmless, tree.body)))
    return max(0, len(unused) - entry)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _is_harmless(statement: ast.stmt) -> bool:
    """Whether it only defines names, or runs in a main program alone."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return not any(isinstance(node, ast.Call) for node in ast.walk(statement))
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    guarded = isinstance(statement, ast.If) and "__name__" in map(_name, ast.walk(statement.test))
    return guarded or isinstance(statement, _HARMLESS)
