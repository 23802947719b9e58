import ast
import gzip
import json
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.errors import ConfigError
from funprm.steps import find_steps, step_texts
from tests.shared_data import shared


def names(code: str) -> tuple[str, ...]:
    return find_steps(code)[1]


def texts(code: str) -> tuple[str, ...]:
    return step_texts(code, find_steps(code)[0])


def assert_partition(code: str, max_steps: int = 0) -> tuple[int, ...]:
    ends, step_names = find_steps(code, max_steps=max_steps)
    assert len(ends) == len(step_names) >= 1
    assert ends[-1] == len(code)
    assert all(a < b for a, b in zip((0, *ends), ends, strict=False)) or ends == (0,)
    assert "".join(step_texts(code, ends)) == code
    return ends


def assert_stable(code: str) -> None:
    ends = assert_partition(code)
    for i, end in enumerate(ends):
        assert find_steps(code[:end])[0] == ends[: i + 1]


PROGRAM = '''\
import sys
LIMIT = 10

# reads everything
def main():
    """Strategy."""
    def inner(x):
        return x
    print(inner(solve(sys.stdin.read())))
    # still main

# about solve

@cache
@other(
    1)
async def solve(
text, more=(1,
2)):
    s = """
def not_a_function():
    pass
"""
    return [
1, 2]
X = 1
class A(B):
    """Doc."""
    y: int = 3

    def f(self): return 1; z = 2

    @property
    def g(self):
        class Inner:
            def hidden(self):
                pass
        return Inner

class Empty: pass

if __name__ == "__main__":
    main()
'''


def test_a_program_is_cut_after_each_function_and_method() -> None:
    assert names(PROGRAM) == ("main", "solve", "A.f", "A.g")
    main, solve, f, g = texts(PROGRAM)
    assert main.startswith("import sys")
    assert main.endswith("    # still main\n")
    assert solve.startswith("\n# about solve\n\n@cache")
    assert solve.endswith("    return [\n1, 2]\n")
    assert f.startswith("X = 1\nclass A(B):")
    assert f.endswith("z = 2\n")
    assert g.startswith("\n    @property")
    assert g.endswith("    main()\n")
    assert_stable(PROGRAM)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", ("",)),
        ("\n\n", ("",)),
        ("print(1)\n", ("",)),
        ("class A:\n    x = 1\n", ("",)),
        ("class A: pass\nclass B:\n    def f(self): pass\n", ("B.f",)),
        ("def f(): return 1\ndef g(): return 2", ("f", "g")),
        ("def f():\n\treturn 1\n\ndef g():\n\treturn 2", ("f", "g")),
        ("class A:\n\tdef f(self):\n\t\tpass\n\tdef g(self):\n\t\tpass\n", ("A.f", "A.g")),
        ("async  def f():\n    pass\nasync\tdef g(): ...", ("f", "g")),
        ("def f[T](x: T) -> T:\n    return x\n", ("f",)),
        ("def é():\n    pass\ndef 函数():\n    pass\n", ("é", "函数")),
        ("\ufeffdef f():\n    pass\ndef g(): pass", ("f", "g")),
        ("if x:\n    def f(): pass\nelse:\n    def f(): pass\n", ("f", "f")),
        ("try:\n    class A:\n        def f(self): pass\nexcept E:\n    A = None\n", ("A.f",)),
        ("class A:\n    class B:\n        def f(self): pass\n    def g(self): pass\n", ("A.g",)),
        ("def f():\n    def g():\n        pass\n    return g\n", ("f",)),
        ("def f():\n    class A:\n        def g(self): pass\n    return A\n", ("f",)),
        ("f = lambda: 0\n", ("",)),
        ("x = 'def f():'\n'''\ndef g():\n    pass\n'''\n", ("",)),
        ('x = "a\\\ndef f():\\\n"\n', ("",)),
        ("# def f():\n", ("",)),
        ("default = 1\ndefine(f)\nclassify(x)\n", ("",)),
        ("match x:\n    case 1:\n        pass\ndef f(): pass", ("f",)),
        ("x = r'\\'\ndef f(): pass", ("f",)),
        ("s = '''it's \\''' still'''\ndef f(): pass", ("f",)),
    ],
)
def test_names(code: str, expected: tuple[str, ...]) -> None:
    assert names(code) == expected
    assert_stable(code)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(:\n    pass\n\ndef g():\n    pass\n", ("f", "g")),
        ("def f(x):\n    return (1\n\ndef g(x):\n    return 2\n", ("f", "g")),
        ("def f(x):\n    return [1\n\nclass A:\n    def g(x): pass\n", ("f", "A.g")),
        ("def f(x):\n    return 1)\n\ndef g(x):\n    return 2\n", ("f", "g")),
        ("def f(x):\n    return 'a\n\ndef g(x):\n    return 2\n", ("f", "g")),
        ("def f(x)\n    return 1\ndef g x:\n    pass\n", ("f",)),
        ("def f:\n    return 1\ndef g", ("f", "g")),
        ("class A:\n    def f(self):\n        return 1\n    def g(self, ", ("A.f", "A.g")),
        ("class A:\n    def f(self):\n        pass\n    def g(self):\n  x = (1,", ("A.f", "A.g")),
        ("class A:\n    def f(self):\n        pass\n    async def", ("A.f",)),
        ("class A:\n    def f(self):\n        s = '''abc\n    def g(self): pass", ("A.f",)),
        ("    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n", ("f", "g")),
        ("print 'x'\ndef f():\n    exec 'x'\n", ("f",)),
        ("Here's it:\n```python\ndef f():\n    pass\n```\nIt isn't bad :(\n", ("f",)),
        ("```python\ndef f(): pass\n```\nand\n~~~\nclass A:\n  def g(s): 0\n~~~", ("f", "A.g")),
        ("def f():\r\n    return 1\r\n\r\ndef g():\r\n\treturn 2\r\n", ("f", "g")),
        ("def f():\r    return 1\rdef g():\r    return 2\r", ("f", "g")),
        ("def f():\0\n    return '\0'\n\0\ndef g(): pass", ("f", "g")),
        ("x = '\ud800'\ndef f\ud800():\n    pass\ndef g(): pass", ("g",)),
        ("def f():\n  return 1\n\tx\ndef g():\n    pass\n", ("f", "g")),
        ("def f():\n    pass\n\\", ("f",)),
    ],
)
def test_names_in_text_that_is_no_program(code: str, expected: tuple[str, ...]) -> None:
    assert names(code) == expected
    assert_stable(code)


def test_a_cut_off_function_is_a_step_of_its_own() -> None:
    code = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        x = (1,\n"
    assert texts(code)[1] == "\n    def g(self):\n        x = (1,\n"


def test_windows_line_ends_stay_with_their_line() -> None:
    code = PROGRAM.replace("\n", "\r\n")
    assert names(code) == names(PROGRAM)
    assert texts(code) == tuple(text.replace("\n", "\r\n") for text in texts(PROGRAM))
    assert_stable(code)


def test_offsets_count_characters() -> None:
    code = "def f():\n    return 'é😀函'\ndef g():\n    return 1\n"
    assert texts(code) == ("def f():\n    return 'é😀函'\n", "def g():\n    return 1\n")


def test_the_cap_merges_the_shortest_neighbours() -> None:
    code = "def a(): 1\ndef b(): 2\ndef c():\n    return 'long' * 30\ndef d(): 4\n"
    ends, step_names = find_steps(code, max_steps=3)
    assert step_names == ("a+b", "c", "d")
    assert ends == (22, 54, 65)
    assert find_steps(code, max_steps=2)[1] == ("a+b", "c+d")
    assert find_steps(code, max_steps=1) == ((len(code),), ("a+b+c+d",))
    assert find_steps(code, max_steps=4) == find_steps(code)
    with pytest.raises(ConfigError, match="max_steps is -1: expected 0"):
        find_steps(code, max_steps=-1)


_FRAGMENTS = [
    *("def f():", "def g(x", "async def h(a):", "class A:", "class B(", "@d", "return 1", "x = (1"),
    *("'", '"', "'''", '"""', "\\", "(", ")", "#", "```python", "\n", "\r\n", "\r", " ", "    "),
    *("\t", "\f", "é", "😀", "\0", "\ud800", "\ufeff", "\u2028", "if x:", "it's", "pass"),
]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=40).map("".join), st.integers(0, 4))
def test_any_text_is_partitioned_and_its_prefixes_keep_their_steps(
    code: str, max_steps: int
) -> None:
    assert_stable(code)
    ends = assert_partition(code, max_steps)
    assert not max_steps or len(ends) <= max_steps
    assert set(ends) <= set(find_steps(code)[0])


@st.composite
def blocks(draw: st.DrawFn, depth: int = 0) -> list[str]:
    """Statements that make a well-formed program."""
    lines: list[str] = []
    kinds = ["simple", "def", "class", "if", "text", "comment", "blank"]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4)):
        name = draw(st.sampled_from("fgh"))
        body = [f"    {line}" for line in draw(blocks(depth + 1))] if depth < 2 else ["    pass"]
        head = {"def": f"def {name}(x=(1,\n2)):", "class": f"class {name.upper()}:", "if": "if x:"}
        if kind in head:
            lines += [*(["@d"] if kind == "def" else []), head[kind], *body]
        elif kind == "simple":
            lines += [draw(st.sampled_from(["x = 1", "y = [\n1]", "z = (2, # (\n3)"]))]
        elif kind == "text":
            lines += [draw(st.sampled_from(["'''a\ndef b():\n  c'''", "'#'; \"('\""]))]
        else:
            lines += ["# note (" if kind == "comment" else ""]
    return [*lines, "pass"]


def expected_by_grammar(code: str) -> list[tuple[str, int]]:
    """Names and last lines of functions that close a step, by Python's own parser."""
    found: list[tuple[str, int]] = []

    def visit(nodes: list[ast.stmt], prefix: str) -> None:
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                found.append((prefix + node.name, node.end_lineno))
            elif isinstance(node, ast.ClassDef):
                if not prefix:
                    visit(node.body, f"{node.name}.")
            else:
                visit([n for n in _statements(node)], prefix)

    visit(ast.parse(code).body, "")
    return found


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from _statements(child)


def assert_agrees_with_grammar(code: str) -> None:
    expected = expected_by_grammar(code)
    ends, step_names = find_steps(code)
    assert step_names == (tuple(name for name, _ in expected) or ("",))
    lines = code.split("\n")
    for end, (_, last) in zip(ends[:-1], expected, strict=False):
        between = lines[last : code.count("\n", 0, end)]
        assert code[end - 1] == "\n"
        assert code.count("\n", 0, end) >= last
        assert all(not line.strip() or line.lstrip().startswith("#") for line in between)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(blocks().map("\n".join))
def test_a_well_formed_program_is_cut_where_its_grammar_says(code: str) -> None:
    assert_stable(code)
    assert_agrees_with_grammar(code)


LARGE: dict[str, Callable[[int], str]] = {
    "paren": lambda n: "(" * n,
    "quote": lambda n: "'" * (n | 1),
    "escape": lambda n: "'''" + "\\" * n,
    "line": lambda n: "a " * (n // 2),
    "unclosed": lambda n: "def f(x):\n  y=(\n" * (n // 16),
    "prose": lambda n: "This isn't a program, is it? (no)\n" * (n // 34),
    "defs": lambda n: "".join(" " * i + "def f():\n" for i in range(int((2 * n) ** 0.5))),
    "classes": lambda n: "".join(" " * i + "class A:\n" for i in range(int((2 * n) ** 0.5))),
    "brackets": lambda n: "[{(" * (n // 3) + "\ndef f(): pass",
}


@pytest.mark.parametrize("kind", LARGE)
def test_large_and_deep_texts(kind: str) -> None:
    check_large(kind, 200_000)


@pytest.mark.slow
@pytest.mark.parametrize("kind", LARGE)
def test_texts_of_ten_million_characters(kind: str) -> None:
    check_large(kind, 10_000_000)


def check_large(kind: str, characters: int) -> None:
    code = LARGE[kind](characters)
    began = time.process_time()
    assert_partition(code)
    assert_partition(code, 5)
    assert time.process_time() - began < characters / 50_000


def real_programs() -> Iterator[str]:
    for name in ("humaneval_codegen16b", "lcb_test", "lcb_train"):
        with gzip.open(shared(f"{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield from (c["code"] for c in row.get("candidates", [row]))


def check_real(programs: Iterator[str]) -> tuple[int, int]:
    parsed = count = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        for count, code in enumerate(programs, 1):  # noqa: B007
            assert_stable(code)
            try:
                ast.parse(code)
            except (SyntaxError, ValueError):
                continue
            parsed += 1
            assert_agrees_with_grammar(code)
    return count, parsed


def test_a_sample_of_real_programs() -> None:
    count, parsed = check_real(islice(real_programs(), 0, None, 40))
    assert count > 800
    assert parsed > 0.5 * count


@pytest.mark.slow
def test_all_real_programs() -> None:
    count, parsed = check_real(real_programs())
    assert count == 16_400 + 16_287 + 3_005
    assert parsed > 0.5 * count
