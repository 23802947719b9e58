"""Tests in one place, the program in another: here two threads, in the judge two processes."""

import builtins
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from funprm.executors.inside import candidate, tester
from funprm.executors.inside.plain_data import NotPlainError, classes_of

PRELUDE = "class Node:\n    def __init__(self, v, n=None): self.v, self.n = v, n\n"
Run = Callable[..., None]


def namespace(name: str, prelude: str) -> dict[str, Any]:
    made: dict[str, Any] = {"__name__": name, "__builtins__": builtins}
    exec(prelude, made)
    return made


def run(code: str, tests: str, entry: str = "f", prelude: str = "") -> None:
    """Run trusted programs and tests; raises what the tests raise."""
    ours, theirs = socket.socketpair()
    names = namespace("solution", prelude)

    def load() -> Any:
        exec(compile(code, "program.py", "exec"), names)
        return eval(entry, names)

    server = candidate.Server(
        theirs.fileno(), names, classes_of(names), lambda error: f"{type(error).__name__}!"
    )
    thread = threading.Thread(target=server.serve, args=(load,))
    thread.start()
    try:
        before = namespace("solution", prelude)
        connection = tester.Connection(ours.fileno(), classes_of(before))
        tester.run(compile(tests, "tests.py", "exec"), entry, before, connection)
    finally:
        ours.shutdown(socket.SHUT_RDWR)
        thread.join()
        ours.close()
        theirs.close()


def check(*lines: str) -> str:
    return "def check(candidate):\n" + "".join(f"    {line}\n" for line in lines)


RIGHT = {
    "number": ("def f(x): return x + 1", "assert candidate(1) == 2"),
    "keywords": ("def f(a, *, b): return a - b", "assert candidate(b=1, a=3) == 2"),
    "keywords of our own": (
        "def f(self, target, function, args): return [self, target, function, args]",
        "assert candidate(self=1, target=2, function=3, args=4) == [1, 2, 3, 4]",
    ),
    "tuple": ("def f(): return (1, [2])", "assert candidate() == (1, [2]) != [1, [2]]"),
    "mutation": ("def f(a): a.sort()", "a = [2, 1]\n    candidate(a)\n    assert a == [1, 2]"),
    "identity": ("def f(a): return a", "a = []\n    assert candidate(a) is a"),
    "generator": ("def f(n):\n    yield from range(n)", "assert list(candidate(2500)) == [*range(2500)]"),
    "endless": (
        "import itertools\ndef f(): return itertools.count()",
        "c = candidate()\n    assert [next(c), next(c)] == [0, 1]",
    ),
    "map": ("def f(a): return map(str, a)", "assert sorted(candidate([1, 2])) == ['1', '2']"),
    "given iterator": ("def f(a): return sum(a)", "assert candidate(iter([1, 2])) == 3"),
    "function of a library": ("def f(g, a): return g(a)", "assert candidate(len, [1, 2]) == 2"),
    "type": ("def f(t): return [x for x in [1, 'a'] if type(x) is t]", "assert candidate(str) == ['a']"),
    "error": (
        "def f(x):\n    raise ValueError('no', x)",
        "try: candidate(3)\n    except ValueError as e: assert e.args == ('no', 3)\n    else: assert 0",
    ),
    "change, then an error": (
        "def f(a):\n    a.pop()\n    raise KeyError",
        "a = [1]\n    try: candidate(a)\n    except KeyError: assert a == []\n    else: assert 0",
    ),
    "own error": (
        "class E(KeyError): pass\ndef f(): raise E('k')",
        "try: candidate()\n    except KeyError as e: assert type(e).__name__ == 'E'\n    else: assert 0",
    ),
    "assertion of the program": (
        "def f(): assert 0, 'x'",
        "try: candidate()\n    except AssertionError: pass\n    else: assert 0",
    ),
    "helper": ("def g(x): return 2 * x\ndef f(x): return x", "assert g(candidate(2)) == 4"),
    "constant": ("N = [1]\ndef f(x): return N", "assert N == candidate(0)"),
    "cache": ("import functools\n@functools.lru_cache\ndef f(x): return [x]", "assert candidate(1) == [1]"),
    "partial": ("import functools\nf = functools.partial(max, 3)", "assert candidate(2) == 3"),
    "class": (
        "class f:\n    def __init__(self): self.a = []\n    def push(self, x): self.a.append(x)\n"
        "    def __len__(self): return len(self.a)\n    def __iter__(self): return iter(self.a)\n"
        "    def __getitem__(self, i): return self.a[i]\n    def __str__(self): return 'S'",
        "s = candidate()\n    assert not s\n    s.push(3)\n    assert len(s) == 1 and list(s) == [3]"
        "\n    assert s[0] == 3 and str(s) == 'S' and s == s and s.a == [3] and 3 in s",
    ),
    "own class": ("class C: x = 1\ndef f(): return C()", "assert candidate().x == 1"),
    "subclass": ("class L(list): pass\ndef f(): return L([1])", "assert candidate() == [1]"),
    "name": ("def f(): pass", "assert candidate.__name__ == 'f'"),
    "big": ("def f(): return 10 ** 20000", "assert candidate() == 10 ** 20000"),
    "numpy": ("def f(a): return a * 2", "assert candidate(2.5) == 5"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_programs_pass(name: str) -> None:
    code, lines = RIGHT[name]
    run(code, check(lines))


ALWAYS_EQUAL = "class E:\n    def __eq__(s, o): return True\n    __hash__ = object.__hash__\n"
OPERATORS = "".join(
    f"    def __{name}__(s, *o): return {value}\n"
    for name, value in [("sub", "0"), ("rsub", "0"), ("abs", "0"), ("lt", "True"), ("le", "True")]
)
WRONG = {
    "always equal": (ALWAYS_EQUAL + "def f(x): return E()", "assert candidate(1) == 42"),
    "always equal, cached": (
        ALWAYS_EQUAL + "import functools\n@functools.lru_cache\ndef f(x): return E()",
        "assert candidate(1) == 42",
    ),
    "always equal, metaclass": (
        "class M(type):\n    __flags__ = 0\nclass E(metaclass=M):\n    def __eq__(s, o): return True\n"
        "def f(x): return E()",
        "assert candidate(1) == 42",
    ),
    "callable object": (
        ALWAYS_EQUAL + "class F:\n    def __call__(s, x): return E()\nf = F()",
        "assert candidate(1) == 42",
    ),
    "inside": (ALWAYS_EQUAL + "def f(x): return [E()]", "assert candidate(1) == [42]"),
    "number": (
        "class E(int):\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\n"
        "def f(x): return E(3)",
        "assert candidate(1) == 42",
    ),
    "near": (ALWAYS_EQUAL + OPERATORS + "def f(x): return E()", "assert abs(candidate(1) - 42) < 1"),
    "reflected": (ALWAYS_EQUAL + "def f(x): return E()", "assert 42 == candidate(1)"),
    "member": (ALWAYS_EQUAL + "def f(x): return E()", "assert candidate(1) in (42, 43)"),
    "contains": (
        "class E:\n    def __contains__(s, o): return True\ndef f(x): return E()",
        "assert 42 in candidate(1)",
    ),
    "class of a prelude": (
        ALWAYS_EQUAL.replace("E:", "Node:") + "def f(x): return Node()",
        "assert candidate(1) == 42",
    ),
    "check": ("def check(c): pass\ndef f(x): return 0", "assert candidate(1) == 42"),
    "builtins": (
        "import builtins\ndef abs(x): return 0\ndef f(x): return 0",
        "assert abs(candidate(1) - 42) < 1",
    ),
    "other": ("def f(x): return object()", "assert candidate(1) == 42"),
    "stop": ("def f(x): raise StopIteration", "assert candidate(1) == 42"),
    "exit": ("def f(x): raise SystemExit", "assert candidate(1) == 42"),
    "expected mutated": ("def f(x): x.append(1)", "assert candidate([1]) == [1, 1]"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_programs_fail(name: str) -> None:
    code, lines = WRONG[name]
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        run(code, check(lines), prelude=PRELUDE)
    blamed = tester.fault_of_program(caught.value)
    assert bool(blamed) is (name in ("stop", "exit"))


def test_nodes_of_the_prelude_travel_both_ways() -> None:
    code = "def f(n):\n    while n.n: n = n.n\n    n.n = Node(9)\n    return n"
    lines = check("a = Node(1, Node(2))", "r = candidate(a)", "assert r is a.n and r.n.v == 9")
    run(code, lines, prelude=PRELUDE)


def test_an_expression_is_tested() -> None:
    code = "class Solution:\n    def g(self, x): return x + 1"
    run(code, check("assert candidate(1) == 2", "assert candidate(x=2) == 3"), "Solution().g")


def test_tests_may_call_the_program_by_its_name_even_if_that_is_check() -> None:
    code = "def check(n): return n == sum(int(d) ** 3 for d in str(n))"
    run(code, check("assert check(153) is True", "assert candidate(154) is False"), "check")


def test_tests_may_call_the_program_by_the_name_of_a_builtin_or_of_a_stub() -> None:
    run("def sum(a): return 7", check("assert sum([1]) == candidate([1]) == 7"), "sum")
    stub = "def f(x): pass\n"
    run("def f(x): return x", check("assert f(3) == 3"), prelude=stub)


@pytest.mark.parametrize("argument", ["lambda x: x", "object()", "open", "[lambda: 0]"])
def test_arguments_that_are_no_plain_data_are_told(argument: str) -> None:
    tests = check(f"try: candidate({argument})", "except Exception: pass")
    if argument == "open":
        run("def f(g): return g is open", check("assert candidate(open)"))
        return
    with pytest.raises(NotPlainError):
        run("def f(g): return 0", tests)


def test_where_the_error_was_is_told() -> None:
    code = check("x = 1", "assert candidate(x) == 42, 'second'")
    with pytest.raises(AssertionError) as caught:
        run("def f(x): return x", code)
    told = tester.describe(caught.value, code)
    assert told == "AssertionError: second; tests, line 3: assert candidate(x) == 42, 'second'"
    with pytest.raises(ZeroDivisionError) as divided:
        run("def f(x): return 1 / 0", code)
    assert tester.fault_of_program(divided.value) == "ZeroDivisionError!"


def test_a_program_that_does_not_load_is_at_fault() -> None:
    for code in ("import nowhere", "1 / 0", "x = 1"):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            run(code, check("pass"))
        assert tester.fault_of_program(caught.value)


ANSWERS = [
    b"",
    b"v",
    b"vx",
    b"v[[1], [], []",
    b"e[[], [], []]",
    b"v[[1, 2], [], []]",
    b"\xff" * 100,
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_made_up_is_the_programs_fault(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    candidate.send(theirs.fileno(), b'v[[[0]], [["tuple"]], []]')
    candidate.send(theirs.fileno(), answer)
    theirs.close()
    connection = tester.Connection(ours.fileno(), {})
    connection.load()
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        connection._answer()
    gone = isinstance(caught.value, tester.ProgramGoneError)
    assert gone or tester.fault_of_program(caught.value)
    ours.close()
