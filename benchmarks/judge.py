"""Speed and steadiness of the judge; speed also against LiveCodeBench's own checker.

    python benchmarks/judge.py speed [--official CHECKOUT] [--data FOLDER]
    python benchmarks/judge.py flat [--programs 50000]
    python benchmarks/judge.py deaths
    python benchmarks/judge.py stable --data FOLDER

CHECKOUT is a copy of the repository LiveCodeBench/LiveCodeBench, which this project does not
contain. Its checker isolates nothing: give it only programs that you would run yourself. FOLDER
holds `lcb_train.jsonl.gz` and `lcb_test.jsonl.gz`.
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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from funprm.executors.local import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Case, Suite, Verdict

_OFFICIAL = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from concurrent.futures import ProcessPoolExecutor
from lcb_runner.evaluation.compute_code_generation_metrics import check_correctness
def judge(task):
    results, _ = check_correctness(task[0], task[1], timeout=6, debug=False)
    return all(r is True for r in results)
if __name__ == "__main__":
    tasks = json.load(open(sys.argv[2]))
    start = time.perf_counter()
    with ProcessPoolExecutor(int(sys.argv[3])) as pool:
        passed = list(pool.map(judge, tasks))
    print(json.dumps([time.perf_counter() - start, passed]))
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


def real(folder: Path, name: str, count: int, *, passing: bool) -> list[Job]:
    """Programs of language models with the confirmed tests of their problems."""
    jobs: list[Job] = []
    for problem in _lines(folder / f"{name}.jsonl.gz"):
        cases = [t for t in problem["tests"] if t["confirmed"]]
        suite = Suite(
            kind="functional" if problem["fn_name"] else "stdin",
            entry_point=problem["fn_name"] or "",
            cases=tuple(Case(input=t["input"], output=t["output"]) for t in cases),
            prelude="from typing import *\nfrom collections import *\nfrom math import *\n"
            "from builtins import *\n",
        )
        codes = {c["code"] for c in problem["candidates"] if c["passed"] or not passing}
        for code in sorted(codes) if cases else []:
            jobs.append(Job(key=str(len(jobs)), code=code, suite=suite))
    random.Random(0).shuffle(jobs)
    return jobs[:count]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        for line in file:
            yield json.loads(line)


def ours(jobs: Iterable[Job], workers: int) -> tuple[float, dict[str, Verdict]]:
    """Seconds (workers being started already) and verdicts."""
    with LocalExecutor(workers) as executor:
        list(executor.judge(generated(4)))
        start = time.perf_counter()
        verdicts = {v.key: v for v in executor.judge(jobs)}
        return time.perf_counter() - start, verdicts


def official(jobs: list[Job], workers: int, checkout: Path) -> tuple[float, list[bool]]:
    """Seconds and verdicts of LiveCodeBench's checker."""
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
    seconds, passed = json.loads(done.stdout.splitlines()[-1])
    return seconds, passed


def speed(options: argparse.Namespace) -> None:
    """Programs per second, in alternating runs."""
    sets = {"generated, 10 cases": generated(200)}
    if options.data:
        sets["real candidates"] = real(options.data, "lcb_train", 200, passing=True)
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
            seconds, verdicts = ours(jobs, options.workers)
            line = f"{name}: {len(jobs) / seconds:.0f} programs/s"
            if options.official and len(jobs) <= 200:
                other, passed = official(jobs, options.workers, options.official)
                same = sum(verdicts[j.key].passed is p for j, p in zip(jobs, passed, strict=True))
                line += f"; official {len(jobs) / other:.1f}: {other / seconds:.1f} times as many"
                line += f"; {same} of {len(jobs)} verdicts equal"
            print(f"[{attempt}] {line}", flush=True)  # noqa: T201


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
    """Equal verdicts with 1, 2 and 16 workers while other processes want the processors."""
    jobs = real(options.data, "lcb_train", options.programs // 2, passing=False)
    jobs += [
        Job(key=f"t{j.key}", code=j.code, suite=j.suite)
        for j in real(options.data, "lcb_test", options.programs // 2, passing=False)
    ]
    first: dict[str, Any] = {}
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        for workers in (16, 2, 1):
            seconds, verdicts = ours(jobs, workers)
            found = {k: (v.status, len(v.results)) for k, v in verdicts.items()}
            first = first or found
            changed = {k: (first[k], found[k]) for k in found if first[k] != found[k]}
            line = f"{workers} workers: {seconds:.0f} s, {len(changed)} verdicts differ"
            print(line, changed, flush=True)  # noqa: T201
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("speed", "flat", "deaths", "stable"))
    parser.add_argument("--official", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--programs", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    options.programs = options.programs or {"flat": 50_000}.get(options.what, 2000)
    {"speed": speed, "flat": flat, "deaths": deaths, "stable": stable}[options.what](options)


if __name__ == "__main__":
    main()
