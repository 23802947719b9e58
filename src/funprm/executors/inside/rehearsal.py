"""The zygote runs programs of the judge's own before it serves, so that every later one is quicker.

What a process does for the first time after a fork (fill a cache, bind a symbol, specialise a
function) costs it a copy of the page that it writes to, and that is most of the time of a small
program. What was done before the fork is there already. Standard library only.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

from funprm.executors.inside import by_cases, program
from funprm.executors.inside.task import SuiteFile, Task, packed

_TIMES = 10
"""Python specialises a function after eight calls."""
_SETTINGS: dict[str, Any] = {
    **{"entry": "f", "prelude": "", "compat": False, "processes": False, "memory": 0.0},
    **{"stop": True, "gated": False, "secret": "00", "seconds": 0, "scratch": "/"},
}
_SOLUTION = b"""
import heapq
from collections import defaultdict
from typing import List
class Solution:
    def f(self, x: List[int]) -> int:
        seen = defaultdict(int)
        for number, value in enumerate(sorted(x, key=lambda v: -v)):
            seen[value] += number
        return heapq.nsmallest(1, [(k, v) for k, v in seen.items() if v >= 0])
"""
_SCRIPT = b"""
import sys
def f(n, values):
    return max([v + n for v in values] + [0])
def main():
    n = int(input())
    values = list(map(int, sys.stdin.readline().split()))
    print(f(n, values), f"{n:.2f}")
if __name__ == "__main__":
    main()
"""
_PROGRAMS: dict[str, tuple[bytes, list[bytes]]] = {
    "functional": (_SOLUTION, [b"[[1, 2]]"] * 2),
    "stdin": (_SCRIPT, [b"1\n2 3\n"] * 2),
    "calls": (b"def f(x):\n    return sorted(x)\n", [b"[(([1, 2],), {}), (([2, 1],), {})]"]),
}


def rehearse() -> None:
    """Run the programs; descriptors 0 to 3 are those of nobody."""
    main, limit = sys.modules["__main__"], sys.getrecursionlimit()
    streams = sys.stdin, sys.__stdin__
    finish = by_cases.finish_interpreter
    by_cases.finish_interpreter = _flush  # the interpreter goes on
    null = os.dup(0)
    stdin = os.memfd_create("stdin")
    os.dup2(stdin, 0)
    try:
        for _ in range(_TIMES):
            for kind in _PROGRAMS:
                _run(kind)
    finally:
        os.dup2(null, 0)
        os.close(null)
        os.close(stdin)
        by_cases.finish_interpreter = finish
        sys.stdin, sys.__stdin__ = streams  # type: ignore[misc]
        sys.setrecursionlimit(limit)
        sys.modules.pop("solution", None)
        sys.modules["__main__"] = main
        gc.collect()


def _run(kind: str) -> None:
    code, inputs = _PROGRAMS[kind]
    suite = SuiteFile(kind, [len(data) for data in inputs], b"".join(inputs))
    settings = {**_SETTINGS, "kind": kind, "spans": suite.spans}
    task = Task(packed(settings, code, b""), os.dup(suite.fd))
    task.namespace, task.gate = None, -1
    if kind == "stdin":
        by_cases.fill_stdin(task.inputs[0])
    program.RUN[kind](task)


def _flush() -> None:
    sys.stdout.flush()
