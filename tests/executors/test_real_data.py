"""Verdicts on public benchmarks, against those recorded elsewhere (skipped without the data)."""

import ast
import gzip
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Case, Status, Suite, Verdict

SHARED = Path(
    os.environ.get("FUNPRM_SHARED", Path(__file__).resolve().parents[2].parent / "shared")
)
MODULES = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools"
    " operator io sys json"
).split()
PRELUDE = "\n".join(
    [f"from {m} import *" for m in (*MODULES, "builtins", "typing")]
    + [f"import {m}" for m in MODULES]
    + ["sys.setrecursionlimit(50000)\n"]
)
# The recorded run had these names in scope, and no numpy, which six of its samples import.
HUMANEVAL_PRELUDE = (
    "import math\nimport re\nimport sys\nimport copy\nimport datetime\nimport itertools\n"
    "import collections\nimport heapq\nimport functools\nimport string\n"
    "from typing import *\nfrom collections import *\n"
)
HUMANEVAL_WITH_NUMPY = {
    f"HumanEval/{n}" for n in ("2/58", "61/5", "63/90", "79/1", "116/0", "159/85")
}
BIGCODEBENCH_EXCEPTIONS = {f"BigCodeBench/{n}" for n in (287, 313, 826)}  # tests import faker


def rows(name: str) -> list[dict[str, Any]]:
    path = SHARED / "data" / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path}; set FUNPRM_SHARED to the folder that holds data/")
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def livecodebench_suite(problem: dict[str, Any]) -> Suite:
    cases = (Case(input=t["input"], output=t["output"]) for t in problem["tests"] if t["confirmed"])
    kind = "functional" if problem["fn_name"] else "stdin"
    return Suite(
        kind=kind,  # type: ignore[arg-type]
        entry_point=problem["fn_name"] or "",
        cases=tuple(cases),
        prelude=PRELUDE,
    )


def livecodebench_jobs(problems: list[dict[str, Any]]) -> Iterator[tuple[Job, bool]]:
    for problem in problems:
        suite = livecodebench_suite(problem)
        official = {c["code"]: c["passed"] for c in problem["candidates"]}
        for index, (code, passed) in enumerate(official.items()):
            if suite.cases:
                yield Job(key=f"{problem['question_id']}/{index}", code=code, suite=suite), passed


def judge_all(jobs: Iterable[Job], **options: Any) -> dict[str, Verdict]:
    with LocalExecutor(**options) as executor:
        return {verdict.key: verdict for verdict in executor.judge(jobs)}


def check_livecodebench(problems: list[dict[str, Any]]) -> tuple[list[str], float]:
    """Officially passing programs that fail here, and the share of failing ones that fail."""
    jobs = dict((job.key, (job, passed)) for job, passed in livecodebench_jobs(problems))
    verdicts = judge_all(job for job, _ in jobs.values())
    assert verdicts.keys() == jobs.keys()
    wrong = [k for k, (_, passed) in jobs.items() if passed and verdicts[k].passed is not True]
    failing = [verdicts[k].passed is False for k, (_, passed) in jobs.items() if not passed]
    return wrong, sum(failing) / max(1, len(failing))


def test_a_sample_of_livecodebench() -> None:
    problems = rows("lcb_train")[:400:25]
    for problem in problems:  # those that ran out of time would take it here, too
        problem["candidates"] = [c for c in problem["candidates"] if c["error_code"] != -3]
    wrong, share = check_livecodebench(problems)
    assert wrong == []
    assert share > 0.6  # with the few tests that are public


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("name", "least"), [("lcb_train", 0.8), ("lcb_test", 0.98)])
def test_all_of_livecodebench(name: str, least: float) -> None:
    wrong, share = check_livecodebench(rows(name))
    assert wrong == []
    assert share >= least


def humaneval_suite(task: dict[str, Any]) -> Suite:
    return Suite(
        kind="check",
        code=task["test"],
        entry_point=task["entry_point"],
        prelude=HUMANEVAL_PRELUDE,
        seconds=3.0,
    )


def test_humaneval_references_pass() -> None:
    jobs = (
        Job(key=t["task_id"], code=t["prompt"] + t["canonical_solution"], suite=humaneval_suite(t))
        for t in rows("humaneval")
    )
    assert {k for k, v in judge_all(jobs).items() if not v.passed} == set()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_recorded_humaneval_verdicts_are_confirmed() -> None:
    suites = {t["task_id"]: humaneval_suite(t) for t in rows("humaneval")}
    samples = {f"{s['task_id']}/{s['sample']}": s for s in rows("humaneval_codegen16b")}
    jobs = (Job(key=k, code=s["code"], suite=suites[s["task_id"]]) for k, s in samples.items())
    verdicts = judge_all(jobs)
    differing = {k for k, s in samples.items() if verdicts[k].passed is not s["passed"]}
    assert differing == (HUMANEVAL_WITH_NUMPY if find_spec("numpy") else set())


def test_leetcode_references_pass() -> None:
    jobs = (
        Job(
            key=t["task_id"],
            code=t["completion"],
            suite=Suite(
                kind="check", code=t["test"], entry_point=t["entry_point"], prelude=t["prompt"]
            ),
        )
        for t in rows("leetcode")
    )
    assert {k for k, v in judge_all(jobs).items() if not v.passed} == set()


def test_a_quarter_of_mbpp_references_pass() -> None:
    jobs = []
    for task in rows("mbpp_sanitized")[::4]:
        lines = [*task["test_imports"], "def check(candidate):"]
        lines += ["    " + line for test in task["test_list"] for line in test.splitlines()]
        entry = re.findall(r"^def (\w+)", task["code"], re.MULTILINE)[-1]
        suite = Suite(kind="check", code="\n".join(lines), entry_point=entry, seconds=30.0)
        jobs.append(Job(key=str(task["task_id"]), code=task["code"], suite=suite))
    assert {k for k, v in judge_all(jobs).items() if not v.passed} == set()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_bigcodebench_references_pass_and_stubs_fail() -> None:
    jobs, stubs = [], []
    for task in rows("bigcodebench_hard"):
        libraries = {re.split(r"\W", name)[0] for name in ast.literal_eval(task["libs"])}
        if libraries <= sys.stdlib_module_names:
            stub = task["code_prompt"] + "    pass\n"
            suite = Suite(
                kind="unittest", code=task["test"], prelude=stub, seconds=60.0, memory_mb=4096
            )
            code = task["code_prompt"] + task["canonical_solution"]
            jobs.append(Job(key=task["task_id"], code=code, suite=suite))
            stubs.append(Job(key="stub " + task["task_id"], code="", suite=suite))
    assert len(jobs) > 25
    verdicts = judge_all([*jobs, *stubs])
    failing = {j.key for j in jobs if not verdicts[j.key].passed}
    assert failing == BIGCODEBENCH_EXCEPTIONS
    assert all(verdicts[j.key].passed is False for j in stubs)
    assert all(v.status is not Status.NOT_JUDGED for v in verdicts.values())
