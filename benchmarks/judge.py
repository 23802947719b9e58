"""Speed and steadiness of the judge; speed also against LiveCodeBench's own checker.

    python benchmarks/judge.py speed [--official CHECKOUT] [--data FOLDER]
    python benchmarks/judge.py flat [--programs 50000]
    python benchmarks/judge.py deaths
    python benchmarks/judge.py stable --data FOLDER

CHECKOUT is a copy of the repository LiveCodeBench/LiveCodeBench, which this project does not
contain. Its checker isolates nothing: give it only programs that you would run yourself. FOLDER
holds `lcb_train.jsonl.gz` and `lcb_test.jsonl.gz`, for `stable` also `humaneval.jsonl.gz` and
`humaneval_codegen16b.jsonl.gz`.
"""

import argparse
import gzip
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Case, Suite, Verdict

_OFFICIAL = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from concurrent.futures import ProcessPoolExecutor
from lcb_runner.evaluation.compute_code_generation_metrics import check_correctness
def judge(task):
    results, _ = check_correctness(task[0], task[1], timeout=6, debug=False)
    return all(r is True for r in results)
if __name__ == "__main__":
    tasks = json.load(open(sys.argv[2]))
    start, cpu = time.perf_counter(), time.process_time()
    with ProcessPoolExecutor(int(sys.argv[3])) as pool:
        passed = list(pool.map(judge, tasks))
    wall = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([wall, sum(u.ru_utime + u.ru_stime for u in used) - cpu, passed]))
"""


def generated(count: int, cases: int = 10) -> list[Job]:
    """Small programs on standard streams and as functions, half of each wrong."""
    source = random.Random(0)
    jobs: list[Job] = []
    for number in range(count):
        shift, wrong = source.randrange(100), number % 4 >= 2
        inputs = [source.randrange(1000) for _ in range(cases)]
        pairs = [(str(x), str(x + shift)) for x in inputs]
        suite_cases = tuple(Case(input=i, output=o) for i, o in pairs)
        body = f"x + {shift + wrong}"
        if number % 2:
            suite = Suite(kind="stdin", cases=suite_cases)
            code = f"def solve(x):\n    return {body}\nprint(solve(int(input())))\n"
        else:
            suite = Suite(kind="functional", entry_point="solve", cases=suite_cases)
            code = f"class Solution:\n    def solve(self, x: int) -> int:\n        return {body}\n"
        jobs.append(Job(key=str(number), code=code, suite=suite))
    return jobs


def real(folder: Path, name: str, count: int, errors: tuple[int | None, ...]) -> list[Job]:
    """Programs of language models with the confirmed tests of their problems.

    Args:
        folder: where the data are.
        name: of the set.
        count: how many at most.
        errors: official results wanted: None passed, -2 wrong answer, -3 time limit, -4 error.
    """
    jobs: list[Job] = []
    for problem in _lines(folder / f"{name}.jsonl.gz"):
        cases = [t for t in problem["tests"] if t["confirmed"]]
        suite = Suite(
            kind="functional" if problem["fn_name"] else "stdin",
            entry_point=problem["fn_name"] or "",
            cases=tuple(Case(input=t["input"], output=t["output"]) for t in cases),
            prelude="import collections, math\nfrom typing import *\nfrom collections import *\n"
            "from math import *\nfrom builtins import *\n",
        )
        codes = {c["code"] for c in problem["candidates"] if c["error_code"] in errors}
        for code in sorted(codes) if cases else []:
            jobs.append(Job(key=str(len(jobs)), code=code, suite=suite))
    random.Random(0).shuffle(jobs)
    return jobs[:count]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        for line in file:
            yield json.loads(line)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took; CPU seconds of all its processes count the same on a busy machine."""

    wall: float
    cpu: float
    memory_mb: float = 0.0
    """Of one worker: its three processes while none runs a program, shared pages counted once."""


def ours(jobs: Iterable[Job], workers: int) -> tuple[Cost, dict[str, Verdict]]:
    """Cost (workers being started already) and verdicts."""
    with LocalExecutor(workers) as executor:
        list(executor.judge(generated(4)))
        start, before = time.perf_counter(), _cpu_of(executor)
        verdicts = {v.key: v for v in executor.judge(jobs)}
        wall, cpu = time.perf_counter() - start, _cpu_of(executor) - before
        pids = [executor._workers[0].pid, *_family([executor._workers[0].pid])]
        return Cost(wall, cpu, sum(map(_proportional, pids))), verdicts


def _cpu_of(executor: LocalExecutor) -> float:
    """CPU seconds of this process, of the workers, and of all programs that have ended."""
    ticks = 0
    pids = [w.pid for w in executor._workers]
    for pid in [*pids, *_family(pids)]:
        ticks += sum(
            map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15])
        )
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def _proportional(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def official(jobs: list[Job], workers: int, checkout: Path) -> tuple[Cost, list[bool]]:
    """Cost and verdicts of LiveCodeBench's checker."""
    tasks = []
    for job in jobs:
        sample: dict[str, Any] = {
            "inputs": [c.input for c in job.suite.cases],
            "outputs": [c.output for c in job.suite.cases],
        }
        if job.suite.entry_point:
            sample["fn_name"] = job.suite.entry_point
        tasks.append(({"input_output": json.dumps(sample)}, job.code))
    script, data = Path(f"/tmp/official-{os.getpid()}.py"), Path(f"/tmp/tasks-{os.getpid()}.json")
    try:
        script.write_text(_OFFICIAL)
        data.write_text(json.dumps(tasks))
        command = [sys.executable, str(script), str(checkout), str(data), str(workers)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        script.unlink(missing_ok=True)
        data.unlink(missing_ok=True)
    wall, cpu, passed = json.loads(done.stdout.splitlines()[-1])
    return Cost(wall, cpu), passed


def speed(options: argparse.Namespace) -> None:
    """Programs per second, and per CPU second of all processes, in alternating runs."""
    sets = {"generated, 10 cases": generated(200)}
    if options.data:
        sets["real, to 2024-07"] = real(options.data, "lcb_train", 200, (None,))
        sets["real, from 2025-01"] = real(options.data, "lcb_test", 200, (None,))
    trivial = Suite(
        kind="functional",
        entry_point="f",
        cases=tuple(Case(input=str(i), output=str(i + 1)) for i in range(25)),
    )
    code = "def f(x):\n    y = {}\n    return x + 1\n"
    sets["trivial, 25 cases"] = [
        Job(key=str(i), code=code.format(i), suite=trivial) for i in range(2000)
    ]
    for name, jobs in sets.items():
        for attempt in range(options.repeat):
            print(f"[{attempt}] {name}: {_compared(jobs, options)}", flush=True)  # noqa: T201


def _compared(jobs: list[Job], options: argparse.Namespace) -> str:
    cost, verdicts = ours(jobs, options.workers)
    count = len(jobs)
    own = sum(r.cpu for v in verdicts.values() for r in v.results) / count
    line = (
        f"{count / cost.wall:.0f} programs/s, {1e3 * cost.cpu / count:.1f} ms CPU each"
        f" ({1e3 * own:.1f} in the program), {cost.memory_mb:.0f} MiB per worker"
    )
    if not options.official or count > 200:
        return line
    other, passed = official(jobs, options.workers, options.official)
    same = sum(verdicts[j.key].passed is p for j, p in zip(jobs, passed, strict=True))
    overheads = (other.cpu / count - own) / (cost.cpu / count - own)
    return (
        f"{line}; official {count / other.wall:.0f} programs/s, {1e3 * other.cpu / count:.1f} ms;"
        f" {other.wall / cost.wall:.1f} times as many per second, {other.cpu / cost.cpu:.1f} times"
        f" per CPU second ({overheads:.1f} without the programs' own time);"
        f" {same} of {count} verdicts equal"
    )


def flat(options: argparse.Namespace) -> None:
    """Memory and descriptors over many programs."""
    job = generated(1, cases=3)[0]
    jobs = (
        Job(key=str(i), code=f"{job.code}# {i}\n", suite=job.suite) for i in range(options.programs)
    )
    with LocalExecutor(options.workers) as executor:
        for number, _ in enumerate(executor.judge(jobs)):
            if number % (options.programs // 10) == 0:
                pids = [os.getpid(), *_family([w.pid for w in executor._workers])]
                used = [f"{_resident(pid):.1f} MiB, {_open_files(pid)} files" for pid in pids]
                print(number, *used, sep=" | ", flush=True)  # noqa: T201


def _family(pids: list[int]) -> list[int]:
    """The warm parents of workers."""
    found = []
    for pid in pids:
        path = Path(f"/proc/{pid}/task/{pid}/children")
        found += [int(child) for child in path.read_text().split()]
    return found


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def deaths(options: argparse.Namespace) -> None:
    """Workers killed while they work: every program still gets its verdict."""
    jobs = generated(options.programs, cases=3)
    source = random.Random(0)
    with LocalExecutor(options.workers) as executor:
        kills, passed = 0, 0
        for number, verdict in enumerate(executor.judge(jobs)):
            passed += verdict.passed is (int(verdict.key) % 4 < 2)
            if number % (options.programs // 25) == 10 and kills < 20:
                kills += 1
                worker = source.choice(executor._workers)
                pid = source.choice([worker.pid, *_family([worker.pid])])
                threading.Thread(target=os.kill, args=(pid, signal.SIGKILL)).start()
        message = f"{kills} workers killed; {passed} of {len(jobs)} verdicts as expected"
        print(message)  # noqa: T201


def stable(options: argparse.Namespace) -> None:
    """Equal verdicts with 1, 2 and 16 workers while another process wants a processor."""
    jobs = mixture(options.data, options.programs)
    first: dict[str, Any] = {}
    busy = f"import os\nwhile os.getppid() == {os.getpid()}: pass"
    burner = subprocess.Popen([sys.executable, "-c", busy])
    try:
        for attempt in range(options.repeat):
            workers = (2, 16, 1)[attempt % 3]
            cost, verdicts = ours(jobs, workers)
            found = {k: (v.status.value, len(v.results)) for k, v in verdicts.items()}
            first = first or found
            changed = {k: (first[k], found[k]) for k in found if first[k] != found[k]}
            counts = dict(Counter(status for status, _ in found.values()).most_common())
            line = (
                f"[{attempt}] {workers} workers: {cost.wall:.0f} s, {len(changed)} of {len(jobs)}"
            )
            print(line, "verdicts differ", changed or "", counts, flush=True)  # noqa: T201
    finally:
        burner.kill()
        burner.wait()


def mixture(folder: Path, count: int) -> list[Job]:
    """Real candidates of three sets; few that ran out of time, and a tight limit for them."""
    third, slow, quick = count // 3, count // 400, (None, -2, -4)
    jobs = [
        *real(folder, "lcb_train", third - slow, quick),
        *real(folder, "lcb_train", slow, (-3,)),
        *real(folder, "lcb_test", third - slow, quick),
        *real(folder, "lcb_test", slow, (-3,)),
    ]
    jobs += _humaneval(folder, count - len(jobs))
    return [
        replace(job, key=f"{number}", suite=replace(job.suite, seconds=2.0))
        for number, job in enumerate(jobs)
    ]


def _humaneval(folder: Path, count: int) -> list[Job]:
    tasks = {task["task_id"]: task for task in _lines(folder / "humaneval.jsonl.gz")}
    samples = [s for s in _lines(folder / "humaneval_codegen16b.jsonl.gz") if s["verdict"] != "tle"]
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
    return [Job(key="", code=s["code"], suite=suites[s["task_id"]]) for s in samples[:count]]


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("speed", "flat", "deaths", "stable"))
    parser.add_argument("--official", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--programs", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=0)
    options = parser.parse_args()
    options.repeat = options.repeat or {"stable": 10}.get(options.what, 2)
    options.programs = options.programs or {"flat": 50_000}.get(options.what, 2000)
    {"speed": speed, "flat": flat, "deaths": deaths, "stable": stable}[options.what](options)


if __name__ == "__main__":
    main()
