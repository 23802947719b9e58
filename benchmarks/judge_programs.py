"""Programs that the judge's benchmarks judge: generated ones, and those of real models.

The real ones come from a folder with `lcb_train.jsonl.gz`, `lcb_test.jsonl.gz`,
`humaneval.jsonl.gz` and `humaneval_codegen16b.jsonl.gz`, which this project does not contain.
"""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from funprm.interfaces import Job
from funprm.records import Case, Suite

ByCases = Literal["stdin", "functional"]
PASSED, FAILED, TOO_SLOW = (None,), (-2, -4), (-3,)
"""Official results of LiveCodeBench's candidates: passed; wrong answer or error; time limit."""
_PRELUDE = (
    "import collections, math\nfrom typing import *\nfrom collections import *\n"
    "from math import *\nfrom builtins import *\n"
)


@dataclass(frozen=True, slots=True)
class Generator:
    """Makes small programs that add a number, some of which are wrong from the second case on.

    Attributes:
        cases: of every suite.
        work: steps of a loop that every case runs through.
        passing: whether the programs are right.
    """

    cases: int = 10
    work: int = 0
    passing: bool = True

    def programs(self, kind: ByCases | Literal["check"], count: int, seed: int = 0) -> list[Job]:
        """Programs of one kind; `check` suites hold an assertion per case."""
        source = random.Random(seed)
        return [self._program(kind, source, str(number)) for number in range(count)]

    def _program(self, kind: str, source: random.Random, key: str) -> Job:
        shift = source.randrange(100)
        inputs = [source.randrange(1000) for _ in range(self.cases)]
        first, wrong = inputs[0], not self.passing
        body = (
            f"    for _ in range({self.work}): pass\n"
            f"    return x + {shift} + (x != {first}) * {int(wrong)}\n"
        )
        pairs = [(str(x), str(x + shift)) for x in (first, *(first + 1 + x for x in inputs[1:]))]
        cases = tuple(Case(input=i, output=o) for i, o in pairs)
        if kind == "stdin":
            code = f"def solve(x):\n{body}print(solve(int(input())))\n"
            return Job(key=key, code=code, suite=Suite(kind="stdin", cases=cases))
        if kind == "functional":
            suite = Suite(kind="functional", entry_point="solve", cases=cases)
            method = "".join(
                f"    {line}\n" for line in f"def solve(self, x):\n{body}".splitlines()
            )
            return Job(key=key, code=f"class Solution:\n{method}", suite=suite)
        lines = [f"    assert candidate({i}) == {o}\n" for i, o in pairs]
        suite = Suite(
            kind="check", entry_point="f", code="def check(candidate):\n" + "".join(lines)
        )
        return Job(key=key, code=f"def f(x):\n{body}", suite=suite)


def mixed(count: int, cases: int = 10) -> list[Job]:
    """Programs on standard streams and functions in turn, half of each wrong."""
    made = {
        (kind, passing): Generator(cases, passing=passing).programs(kind, count)
        for kind in ("stdin", "functional")
        for passing in (True, False)
    }
    return [
        replace(made["stdin" if n % 2 else "functional", n % 4 < 2][n], key=str(n))
        for n in range(count)
    ]


def livecodebench(
    folder: Path, name: str, count: int, official: tuple[int | None, ...]
) -> list[Job]:
    """Programs of language models with the confirmed tests of their problems.

    Args:
        folder: where the data are.
        name: of the set.
        count: how many at most.
        official: results wanted, such as `PASSED`.
    """
    jobs: list[Job] = []
    for problem in _lines(folder / f"{name}.jsonl.gz"):
        cases = [t for t in problem["tests"] if t["confirmed"]]
        suite = Suite(
            kind="functional" if problem["fn_name"] else "stdin",
            entry_point=problem["fn_name"] or "",
            cases=tuple(Case(input=t["input"], output=t["output"]) for t in cases),
            prelude=_PRELUDE,
        )
        codes = {c["code"] for c in problem["candidates"] if c["error_code"] in official}
        for code in sorted(codes) if cases else []:
            jobs.append(Job(key=str(len(jobs)), code=code, suite=suite))
    random.Random(0).shuffle(jobs)
    return jobs[:count]


def humaneval(folder: Path, count: int, passed: tuple[bool, ...] = (True, False)) -> list[Job]:
    """Recorded HumanEval samples that did not run out of time, by their recorded verdict."""
    tasks = {task["task_id"]: task for task in _lines(folder / "humaneval.jsonl.gz")}
    samples = [
        sample
        for sample in _lines(folder / "humaneval_codegen16b.jsonl.gz")
        if sample["verdict"] != "tle" and sample["passed"] in passed
    ]
    random.Random(0).shuffle(samples)
    suites = {
        name: Suite(
            kind="check",
            entry_point=task["entry_point"],
            code=task["test"],
            prelude="import math, re, collections, itertools\nfrom typing import *\n",
        )
        for name, task in tasks.items()
    }
    return [
        Job(key=str(number), code=sample["code"], suite=suites[sample["task_id"]])
        for number, sample in enumerate(samples[:count])
    ]


def mixture(folder: Path, count: int) -> list[Job]:
    """Real candidates of three sets; few that ran out of time, and a tight limit for them."""
    third, slow, quick = count // 3, count // 400, PASSED + FAILED
    jobs = [
        *livecodebench(folder, "lcb_train", third - slow, quick),
        *livecodebench(folder, "lcb_train", slow, TOO_SLOW),
        *livecodebench(folder, "lcb_test", third - slow, quick),
        *livecodebench(folder, "lcb_test", slow, TOO_SLOW),
    ]
    jobs += humaneval(folder, count - len(jobs))
    return [
        replace(job, key=f"{number}", suite=replace(job.suite, seconds=2.0))
        for number, job in enumerate(jobs)
    ]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        for line in file:
            yield json.loads(line)


def for_official_checker(job: Job) -> tuple[dict[str, str], str]:
    """A job as LiveCodeBench's checker takes it: a sample and a program.

    It knows no assertions: a `check` suite becomes a program that runs them, reads nothing and
    prints `ok`.
    """
    suite, code = job.suite, job.code
    sample: dict[str, Any] = {
        "inputs": [case.input for case in suite.cases],
        "outputs": [case.output for case in suite.cases],
    }
    if suite.kind == "functional":
        sample["fn_name"] = suite.entry_point
    elif suite.kind == "check":
        sample = {"inputs": [""], "outputs": ["ok"]}
        end = f"check({suite.entry_point})\nprint('ok')\n"
        code = f"{suite.prelude}\n{code}\n{suite.code}\n{end}"
    return {"input_output": json.dumps(sample)}, code
