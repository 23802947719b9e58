"""Parsing Python found in data, which may be anything."""

import ast
import warnings

_NO_PROGRAM = (SyntaxError, ValueError, MemoryError, RecursionError)


def parsed(source: str) -> ast.Module:
    """The syntax tree of a program; an empty one where the text is none.

    >>> len(parsed("x = 1").body), len(parsed("x =").body)
    (1, 0)
    """
    try:
        with warnings.catch_warnings():
            # Invalid escapes in other people's strings are not the user's concern.
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            return ast.parse(source)
    except _NO_PROGRAM:
        return ast.Module(body=[], type_ignores=[])


def expression(source: str) -> ast.expr | None:
    """The syntax tree of a text that is one expression, or None."""
    body = parsed(source).body
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None


def functions(source: str) -> list[ast.FunctionDef]:
    """The functions at the top level of a program."""
    return [node for node in parsed(source).body if isinstance(node, ast.FunctionDef)]
