"""What counts as right: standard streams, values, test code."""

import time

import pytest

from funprm.executors.inside import stateless
from funprm.records import Status, Suite, Verdict
from tests.executors.conftest import Judge, check, functional, stdin, suite_of, unittests

DOUBLE = stdin(("3\n4\n", "7\n"), ("10\n-3\n", "7\n"))

READERS = {
    "input": "print(int(input()) + int(input()))",
    "iteration": "import sys\nprint(sum(int(x) for x in sys.stdin))",
    "second buffer line": "import sys\nr = sys.stdin.buffer.readline\nprint(int(r()) + int(r()))",
    "readlines": "import sys\nprint(sum(map(int, sys.stdin.readlines())))",
    "open(0)": "print(sum(map(int, open(0).read().split())))",
    "os.read": "import os\nprint(sum(map(int, os.read(0, 1000).split())))",
    "/dev/stdin": "print(sum(map(int, open('/dev/stdin').read().split())))",
    "stdout.buffer": "import sys\nsys.stdout.buffer.write(b'%d' % sum(map(int, sys.stdin)))",
    "os.write": "import os, sys\nos.write(1, b'%d\\n' % sum(map(int, sys.stdin)))",
    "global": "n = 0\ndef f():\n    global n\n    n = int(input()) + int(input())\nf()\nprint(n)",
    "main guard": "def m():\n    print(int(input()) + int(input()))\n"
    "if __name__ == '__main__':\n    m()\nx = 1",
    "quit": "print(int(input()) + int(input()))\nquit()",
    "sys.exit": "import sys\nprint(int(input()) + int(input()))\nsys.exit()",
    "sys.exit(1)": "import sys\nprint(int(input()) + int(input()))\nsys.exit(1)",
    "os._exit": "import os\nprint(int(input()) + int(input()), flush=True)\nos._exit(0)",
    "thread": "import threading, sys\nthreading.stack_size(2**26)\nsys.setrecursionlimit(10**6)\n"
    "def m():\n    print(int(input()) + int(input()))\nt = threading.Thread(target=m)\nt.start()",
    "atexit": "import atexit\natexit.register(lambda: print(int(input()) + int(input())))",
    "future": "from __future__ import annotations\nprint(int(input()) + int(input()))",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
    "print(P(int(input())).x + P(int(input())).x)",
}


@pytest.mark.parametrize("name", READERS)
def test_every_way_to_read_and_write_works(judge: Judge, name: str) -> None:
    prelude = "import sys\nsys.setrecursionlimit(50000)"
    for suite in (DOUBLE, stdin(*((c.input, c.output) for c in DOUBLE.cases), prelude=prelude)):
        assert judge(READERS[name], suite).status is Status.PASSED


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("  1 \n\n", "1", True),
        ("1.0", "1", True),
        ("1e3 2", "1000 2.0", True),
        ("1\n2", "1 2", False),
        ("1 2", "1  2", True),
        ("a b", "a  b", False),
        ("0.1000000001", "0.1", False),
        ("yes", "YES", False),
        ("", "", True),
        ("1\n\n2", "1\n2", False),
        ("nan", "nan", True),
    ],
)
def test_streams_are_compared_officially(
    judge: Judge, printed: str, expected: str, same: bool
) -> None:
    verdict = judge(f"print({printed!r})", stdin(("", expected)))
    assert verdict.status is (Status.PASSED if same else Status.WRONG_ANSWER)


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        ("(1, 2)", "[1, 2]", True),
        ("[(1, 2)]", "[[1, 2]]", True),
        ("True", "1", True),
        ("1.0", "1", True),
        ("'1'", "1", False),
        ("None", "null", True),
        ("{1: 2}", '{"1": 2}', False),
        ("{'1': 2}", '{"1": 2}', True),
        ("{1, 2}", "[1, 2]", False),
        ("__import__('collections').Counter(a=1)", '{"a": 1}', True),
        ("__import__('collections').deque([1])", "[1]", False),
        ("__import__('fractions').Fraction(4, 2)", "2", True),
        ("float('nan')", "NaN", False),
        ("float('inf')", "Infinity", True),
        ("10**5000", "1" + "0" * 5000, True),
        ("10**5000 + 1", "1" + "0" * 5000, False),
        ("range(2)", "[0, 1]", False),
        ("'\\ud800'", '"\\ud800"', True),
    ],
)
def test_values_are_compared_as_plain_data(
    judge: Judge, value: str, expected: str, same: bool
) -> None:
    verdict = judge(f"def f(x):\n    return {value}", functional(("1", expected)))
    assert verdict.status is (Status.PASSED if same else Status.WRONG_ANSWER)


def test_a_method_of_solution_is_called(judge: Judge) -> None:
    code = "class Solution:\n    def f(self, a: List[int], b: int) -> int:\n        return a[b]"
    suite = functional(("[1, 2]\n1", "2"), prelude="from typing import *")
    assert judge(code, suite).status is Status.PASSED


def test_a_method_may_be_set_by_the_constructor(judge: Judge) -> None:
    code = "class Solution:\n    def __init__(self):\n        self.f = lambda x: x + 1"
    assert judge(code, functional(("1", "2"))).status is Status.PASSED
    assert judge(code, functional(("1", "2"), entry_point="g")).passed is False


@pytest.mark.parametrize("digits", [4300, 4301, 50_000])
def test_integers_may_have_many_digits(judge: Judge, digits: int) -> None:
    number = "7" * digits
    assert judge("print(int(input()))", stdin((number, number))).status is Status.PASSED
    assert judge("def f(x):\n    return x", functional((number, number))).status is Status.PASSED


def test_the_first_failure_ends_it_or_not(judge: Judge) -> None:
    suite = functional(*((str(i), "0") for i in range(5)))
    code = "def f(x):\n    return 1 if x in (1, 3) else 0"
    assert [r.index for r in judge(code, suite).results] == [0, 1]
    verdict = judge(code, suite, stop=False)
    assert len(verdict.results) == verdict.total == 5
    assert [r.index for r in verdict.results if r.status is Status.WRONG_ANSWER] == [1, 3]
    assert verdict.status is Status.WRONG_ANSWER
    crash = "def f(x):\n    import os\n    return os._exit(3) if x in (1, 3) else 0"
    verdict = judge(crash, suite, stop=False)
    assert [r.index for r in verdict.results if r.status is Status.RUNTIME_ERROR] == [1, 3]


STATEFUL = {
    "global": "n = 0\ndef f(x):\n    global n\n    n += 1\n    return n",
    "default": "def f(x, seen=[]):\n    seen.append(x)\n    return len(seen)",
    "class attribute": "class Solution:\n    n = 0\n    def f(self, x):\n"
    "        Solution.n += 1\n        return Solution.n",
    "mutable class attribute": "class Solution:\n    memo = {}\n    def f(self, x):\n"
    "        self.memo[x] = 1\n        return len(self.memo)",
    "instance": "class Solution:\n    def __init__(self):\n        self.n = 0\n"
    "    def f(self, x):\n        self.n += 1\n        return self.n",
    "closure": "def g():\n    n = 0\n    def f(x):\n        nonlocal n\n        n += 1\n"
    "        return n\n    return f\nf = g()",
    "object": "class C:\n    n = 0\nc = C()\ndef f(x):\n    c.n += 1\n    return c.n",
    "iterator": "import itertools\nc = itertools.count(1)\ndef f(x):\n    return next(c)",
    "module": "import math\ndef f(x):\n    f.n = getattr(f, 'n', 0) + 1\n    return f.n",
}


@pytest.mark.parametrize("name", STATEFUL)
def test_no_case_sees_what_another_left(judge: Judge, name: str) -> None:
    fresh = functional(*((str(i), "1") for i in range(4)))
    counting = functional(*((str(i), str(i + 1)) for i in range(4)))
    assert judge(STATEFUL[name], fresh).status is Status.PASSED
    assert judge(STATEFUL[name], counting).status is Status.WRONG_ANSWER


def test_cases_without_output_compare_nothing(judge: Judge) -> None:
    for suite, codes in (
        (stdin(("1", None), ("2", None)), ("print(input())", "print(float(input()))")),
        (functional(("1", None)), ("def f(x):\n    return [x]", "def f(x):\n    return (1.0,)")),
    ):
        digests = []
        for code in codes:
            verdict = judge(code, suite)
            assert verdict.status is Status.PASSED
            digests.append([r.digest for r in verdict.results])
        assert digests[0] == digests[1]
        assert all(digests[0])


def test_check_suites(judge: Judge) -> None:
    suite = check("assert candidate(1) == 2\nassert candidate(5) == 6")
    assert judge("def f(x):\n    return x + 1", suite).status is Status.PASSED
    assert judge("def f(x):\n    return 2", suite).passed is False
    method = check("assert candidate(x=1) == 2", entry_point="Solution().g")
    code = "class Solution:\n    def g(self, x):\n        return x + 1"
    assert judge(code, method).status is Status.PASSED


def test_unittest_suites(judge: Judge) -> None:
    suite = unittests("def test_one(self):\n    self.assertEqual(f(1), 2)")
    assert judge("def f(x):\n    return x + 1", suite).status is Status.PASSED
    verdict = judge("def f(x):\n    return x", suite)
    assert verdict.passed is False
    assert "test_one" in verdict.detail
    assert judge("def f(x):\n    return x", unittests("pass")).passed is False
    tools = "def test_one(self):\n    import subprocess, tempfile, multiprocessing\n"
    tools += "    self.assertEqual(subprocess.check_output(['echo', 'hi']), b'hi\\n')\n"
    tools += "    with tempfile.TemporaryDirectory() as d:\n        open(d + '/x', 'w').close()\n"
    assert judge("", unittests(tools)).status is Status.PASSED


@pytest.mark.parametrize(
    ("suite", "word"),
    [
        (stdin(), "case"),
        (functional(), "case"),
        (functional(("{oops", "1")), "JSON"),
        (functional(("1", "oops")), "JSON"),
        (functional(("1", "1"), entry_point=""), "entry_point"),
        (suite_of("check", entry_point="f"), "check"),
        (suite_of("unittest", code="x = 1"), "TestCases"),
        (stdin(("", ""), seconds=0.0), "limits"),
        (suite_of("telepathy"), "telepathy"),
    ],
)
def test_a_bad_suite_is_not_judged_and_says_why(judge: Judge, suite: Suite, word: str) -> None:
    verdict: Verdict = judge("print(1)", suite)
    assert verdict.status is Status.NOT_JUDGED
    assert verdict.passed is None
    assert word in verdict.detail


@pytest.mark.parametrize(
    "code",
    ["x = (", "print(1)\0", "\ud800", "def f(:", "import nowhere", "1/0", "raise SystemError"],
)
def test_a_defect_of_the_program_is_its_failure(judge: Judge, code: str) -> None:
    for suite in (stdin(("", "")), functional(("1", "1")), check("candidate(1)"), unittests("")):
        assert judge(code, suite).status is Status.RUNTIME_ERROR


def test_a_failure_stays_a_failure_when_later_cases_pass(judge: Judge) -> None:
    code = "def f(x):\n    while x == 3: pass\n    return 0"
    verdict = judge(code, functional(("3", "0"), ("4", "0"), seconds=0.3), stop=False)
    assert [r.status for r in verdict.results] == [Status.TIME_LIMIT, Status.PASSED]
    assert verdict.status is Status.TIME_LIMIT
    assert verdict.detail.startswith("case 0")


def test_an_endless_program_does_not_use_up_every_case(judge: Judge) -> None:
    cases = tuple((str(i), "0") for i in range(20))
    verdict = judge("def f(x):\n    while 1: pass", functional(*cases, seconds=0.2), stop=False)
    assert verdict.status is Status.TIME_LIMIT
    assert len(verdict.results) == 3


def test_recursion_limits_do_not_depend_on_earlier_suites(judge: Judge) -> None:
    deep = "def f(x):\n    return 0 if x == 0 else 1 + f(x - 1)"
    raising = functional(("3", "3"), prelude="import sys\nsys.setrecursionlimit(50000)\n")
    of_tests = (
        "def test(self):\n    import sys\n    self.assertEqual(sys.getrecursionlimit(), 1000)"
    )
    for _ in range(2):
        assert judge(deep, check("assert candidate(2000) == 2000")).passed
        assert judge(deep, unittests(of_tests)).passed
        assert judge(deep, raising).passed


def test_one_time_limit_is_enough_where_nothing_is_compared(judge: Judge) -> None:
    cases = tuple((str(i), None) for i in range(20))
    verdict = judge("def f(x):\n    while 1: pass", functional(*cases, seconds=0.2), stop=False)
    assert [r.status for r in verdict.results] == [Status.TIME_LIMIT]


SHARED = {
    "plain": ("print(input())", True),
    "sys": ("import sys\ninput = sys.stdin.readline\nprint(input())\nsys.exit()", True),
    "class": (
        "class A:\n    def __init__(self): self.x = 1\nif __name__ == '__main__':\n    A()",
        True,
    ),
    "exit": ("print(input())\nexit()", True),  # seen to close standard input when it has ended
    "import": ("import os", False),
    "import inside": ("def f():\n    import threading", False),
    "replaced stream": ("import sys\nsys.stdin = None", True),  # seen when it has ended
    "module": ("import math\nmath.pi = 3", True),  # too
    "insides": ("import operator\noperator.attrgetter('x')", False),
    "private": ("from enum import IntEnum\nIntEnum._convert_('X', 'math', bool)", False),
    "annotations": ("from heapq import merge\nmerge.__annotations__['x'] = 1", False),
    "documentation": ("from heapq import merge\nmerge.__doc__ = 'x'", False),
    "annotated": ("x: int = 1\nclass A:\n    y: int = 2", True),
    "pattern": ("match print:\n    case object(__self__=b): pass", False),
    "parts": ("from typing import List\nfrom collections import Counter, defaultdict", True),
    "frame": ("def g():\n    yield\ng().gi_frame", False),
    "own name": ("gi_count = 1\nprint(gi_count)", True),
    "trace": ("import sys\nsys.settrace(None)", False),
    "from": ("from sys import setswitchinterval", False),
    "builtins": ("__builtins__.x = 1", False),
    "dynamic": ("getattr(input, '__self__')", False),
    "prelude's module": ("os.umask(0)", False),
    "prelude's name": ("setswitchinterval(1)", False),
}


@pytest.mark.parametrize("name", SHARED)
def test_which_programs_may_share_a_process(name: str) -> None:
    code, expected = SHARED[name]
    prelude: dict[str, object] = {}
    exec("import os, sys, math\nfrom sys import *\nfrom collections import *", prelude)
    stateless.warm()
    assert stateless.Proof(compile(code, "program.py", "exec"), prelude).holds is expected


LEAVING = {
    "nothing": "",
    "closes the input": "\nsys.stdin.close()",
    "ends": "\nexit()",
    "closes the output": "\nsys.stdout.flush()\nsys.stdout.close()",
    "reads ahead": "\nsys.stdin.read()",
    "takes long": "\nfor _ in range(10 ** 6): pass",
    "takes memory": "\nx = bytearray(50 << 20)",
    "lowers recursion": "\nsys.setrecursionlimit(60)",
    "draws": "\nimport random\nassert random.seed(1) or random.random() < 1",
}


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize("prelude", ["", "from sys import *\nimport sys"])
def test_cases_on_streams_see_nothing_of_each_other(judge: Judge, name: str, prelude: str) -> None:
    source = "stdin" if prelude else "sys.stdin"
    code = (
        "import sys\ndef deep(n):\n    return n and deep(n - 1)\ndeep(500)\n"
        f"first, second = {source}.readline().strip(), input()\nassert 'seen' not in globals()\n"
        "seen = 1\nprint(first)\nprint(second, end='')"
    ).replace(
        "assert 'seen' not in globals()\n", "try: seen\nexcept NameError: pass\nelse: 1 / 0\n"
    )
    cases = [(f"{i}\r\n{'é' * i}\nmore\n", f"{i}\n{'é' * i}") for i in range(5)]
    verdict = judge(code + LEAVING[name], stdin(*cases, prelude=prelude), stop=False)
    assert [r.status for r in verdict.results] == [Status.PASSED] * 5, verdict


def test_empty_inputs(judge: Judge) -> None:
    code = "import sys\nprint(len(sys.stdin.read()))"
    for inputs in ([""], ["", ""], ["", "a", ""], ["a", "", "b"]):
        assert judge(code, stdin(*((i, str(len(i))) for i in inputs))).passed


def test_cases_that_share_a_process_fail_alone(judge: Judge) -> None:
    cases = [(str(i), str(i)) for i in range(6)]
    code = (
        "x = int(input())\nif x == 1: print(1 / 0)\nelif x == 2: print('no')\n"
        "elif x == 3:\n    while True: pass\nelse: print(x)"
    )
    verdict = judge(code, stdin(*cases, seconds=0.3), stop=False)
    assert [r.status.name for r in verdict.results] == [
        "PASSED",
        "RUNTIME_ERROR",
        "WRONG_ANSWER",
        "TIME_LIMIT",
        "PASSED",
        "PASSED",
    ]
    assert judge(code.replace("1 / 0", "'a' * 20_000_000"), stdin(*cases)).status is (
        Status.OUTPUT_LIMIT
    )


def test_large_outputs_of_cases_that_share_a_process(judge: Judge) -> None:
    code = "x = input()\nprint('a' * 200_000 + x)"
    many = [(str(i), "a" * 200_000 + str(i)) for i in range(20)]
    start = time.monotonic()
    assert judge(code, stdin(*many, seconds=10.0)).passed
    assert time.monotonic() - start < 10  # not the 32 seconds after which a stalled one ends


def test_a_case_cannot_answer_for_others(judge: Judge) -> None:
    cases = [("1", "1"), ("2", "2"), ("3", "3")]
    forged = "import sys\nprint(input())\nsys.stdout.flush()\nf = sys.stdout.buffer.raw.write\n"
    code = forged + "f(b'1\\n2\\n3\\n')"
    assert judge(code, stdin(*cases)).status is Status.WRONG_ANSWER
    records = "import os\nprint(input(), flush=True)\nfor r in (b'a0:0 \\n', b'x0:0 \\n') * 4:\n"
    records += "    os.write(3, r)\nos._exit(0)"
    assert judge(records, stdin(*cases)).status is Status.RUNTIME_ERROR  # no records of ours
