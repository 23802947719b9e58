"""Which tests a `unittest` suite has, read from its source: no program has a say in it."""

import ast

_CASES = "TestCases"


def test_names(code: str) -> frozenset[str]:
    r"""Names of the tests of class `TestCases`, inherited ones from the same source included.

    Tests that are skipped whatever happens (`@unittest.skip(...)`) are none. Tests that are made
    when the source runs cannot be seen. Source that is no Python has no tests.

    >>> sorted(test_names("class A:\n def test_a(s): 0\nclass TestCases(A):\n def test_b(s): 0"))
    ['test_a', 'test_b']
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    names: set[str] = set()
    waiting, seen = [_CASES], set[str]()
    while waiting:
        name = waiting.pop()
        node = classes.get(name)
        if node is not None and name not in seen and not _is_skipped(node):
            seen.add(name)
            names.update(_tests(node))
            waiting += [base.id for base in node.bases if isinstance(base, ast.Name)]
    return frozenset(names)


def _tests(node: ast.ClassDef) -> list[str]:
    functions = [f for f in node.body if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f.name for f in functions if f.name.startswith("test") and not _is_skipped(f)]


def _is_skipped(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    calls = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
    return any(ast.unparse(call) in ("skip", "unittest.skip") for call in calls)
