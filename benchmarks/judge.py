"""Speed and steadiness of the judge; speed also against LiveCodeBench's own checker.

    python benchmarks/judge.py speed [--official CHECKOUT] [--data FOLDER] [--programs 100]
    python benchmarks/judge.py flat [--programs 50000]
    python benchmarks/judge.py deaths
    python benchmarks/judge.py stable --data FOLDER

CHECKOUT is a copy of the repository LiveCodeBench/LiveCodeBench, which this project does not
contain. Its checker isolates nothing: here it gets no network and, started by root, no rights.
FOLDER: see `judge_programs.py`.
"""

import argparse
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import judge_programs as programs

from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Verdict

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
        list(executor.judge(programs.mixed(4)))
        start, before = time.perf_counter(), _cpu_of_all()
        verdicts = {v.key: v for v in executor.judge(jobs)}
        wall, cpu = time.perf_counter() - start, _cpu_of_all() - before
        memory = sum(map(_proportional, _descendants(os.getpid()))) / workers
        return Cost(wall, cpu, memory), verdicts


def _cpu_of_all() -> float:
    """CPU seconds of this process and all below it, those that have ended included."""
    ticks = 0
    for pid in _descendants(os.getpid()):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:  # ended meanwhile
            continue
        ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time() + ended.ru_utime + ended.ru_stime


def _descendants(pid: int) -> list[int]:
    """Process ids of all children, their children, and so on."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *_descendants(child)]
    return found


def _proportional(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def official(jobs: list[Job], workers: int, checkout: Path) -> tuple[Cost, list[bool]]:
    """Cost and verdicts of LiveCodeBench's checker."""
    with tempfile.TemporaryDirectory() as folder:
        script, data = Path(folder) / "official.py", Path(folder) / "tasks.json"
        script.write_text(_OFFICIAL)
        data.write_text(json.dumps([programs.for_official_checker(job) for job in jobs]))
        Path(folder).chmod(0o755)
        command = [sys.executable, str(script), str(checkout), str(data), str(workers)]
        done = subprocess.run([*_confined(), *command], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise SystemExit(f"LiveCodeBench's checker failed: {done.stderr[-500:]}")
    wall, cpu, passed = json.loads(done.stdout.splitlines()[-1])
    return Cost(wall, cpu), passed


def _confined() -> list[str]:
    """What keeps a checker without isolation from the network and, for root, from its rights."""
    if os.geteuid():
        return ["unshare", "--user", "--net"]
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    return ["unshare", "--net", *user]


def speed(options: argparse.Namespace) -> None:
    """Programs per second and per CPU second of all processes, as ratios in alternating runs."""
    print("| programs | here, per s | ratio | CPU here, ms | ratio | equal verdicts |")  # noqa: T201
    print("|---|---|---|---|---|---|")  # noqa: T201
    for name, jobs in _sets(options.data, options.programs):
        if options.only in name:
            _print_row(name, jobs, options)


def _sets(folder: Path | None, count: int) -> list[tuple[str, list[Job]]]:
    """All sets of programs; each kind once with passing and once with failing ones."""
    sets = []
    for passing in (True, False):
        word = "passing" if passing else "failing"
        ten, many = (programs.Generator(cases, passing=passing) for cases in (10, 100))
        sets += [(f"generated stdin, {word}", ten.programs("stdin", count))]
        sets += [(f"generated functional, {word}", ten.programs("functional", count))]
        sets += [(f"generated check, {word}", ten.programs("check", count))]
        sets += [(f"100 cases, stdin, {word}", many.programs("stdin", count))]
        sets += [(f"100 cases, functional, {word}", many.programs("functional", count))]
        if folder:
            results = programs.PASSED if passing else programs.FAILED
            for name, window in (("lcb_train", "to 2024-07"), ("lcb_test", "from 2025-01")):
                jobs = programs.livecodebench(folder, name, count, results)
                sets.append((f"real, {window}, {word}", jobs))
            jobs = programs.humaneval(folder, count, (passing,))
            sets.append((f"real, HumanEval (check), {word}", jobs))
    dear = programs.Generator(cases=100, work=100_000, passing=False)
    for kind in ("stdin", "functional"):
        sets.append((f"100 cases of 2 ms, {kind}, failing", dear.programs(kind, count)))
    return sets


def _print_row(name: str, jobs: list[Job], options: argparse.Namespace) -> None:
    costs: list[Cost] = []
    others: list[Cost] = []
    same = 0
    for _ in range(options.repeat):
        cost, verdicts = ours(jobs, options.workers)
        costs.append(cost)
        if options.official:
            other, passed = official(jobs, options.workers, options.official)
            others.append(other)
            same = sum(verdicts[j.key].passed is p for j, p in zip(jobs, passed, strict=True))
    pairs = list(zip(others, costs, strict=False))
    cells = [
        name,
        _list(f"{len(jobs) / cost.wall:.0f}" for cost in costs),
        _list(f"{theirs.wall / mine.wall:.1f}" for theirs, mine in pairs),
        f"{1e3 * statistics.mean(cost.cpu for cost in costs) / len(jobs):.1f}",
        _list(f"{theirs.cpu / mine.cpu:.1f}" for theirs, mine in pairs),
        f"{same} of {len(jobs)}" if others else "",
    ]
    print("|", " | ".join(cells), "|", flush=True)  # noqa: T201


def _list(values: Iterable[str]) -> str:
    return ", ".join(values)


def flat(options: argparse.Namespace) -> None:
    """Memory and descriptors over many programs."""
    job = programs.Generator(cases=3).programs("stdin", 1)[0]
    jobs = (
        Job(key=str(i), code=f"{job.code}# {i}\n", suite=job.suite) for i in range(options.programs)
    )
    with LocalExecutor(options.workers) as executor:
        for number, _ in enumerate(executor.judge(jobs)):
            if number % (options.programs // 10) == 0:
                pids = [os.getpid(), *_descendants(os.getpid())]
                used = [f"{_resident(pid):.1f} MiB, {_open_files(pid)} files" for pid in pids]
                print(number, *used, sep=" | ", flush=True)  # noqa: T201


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def deaths(options: argparse.Namespace) -> None:
    """Workers killed while they work: every program still gets its verdict."""
    jobs = programs.mixed(options.programs, cases=3)
    source = random.Random(0)
    with LocalExecutor(options.workers) as executor:
        kills, passed = 0, 0
        for number, verdict in enumerate(executor.judge(jobs)):
            passed += verdict.passed is (int(verdict.key) % 4 < 2)
            if number % (options.programs // 25) == 10 and kills < 20:
                kills += 1
                pid = source.choice(_descendants(os.getpid()))
                threading.Thread(target=os.kill, args=(pid, signal.SIGKILL)).start()
        message = f"{kills} workers killed; {passed} of {len(jobs)} verdicts as expected"
        print(message)  # noqa: T201


def stable(options: argparse.Namespace) -> None:
    """Equal verdicts with 1, 2 and 16 workers while another process wants a processor."""
    jobs = programs.mixture(options.data, options.programs)
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


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("speed", "flat", "deaths", "stable"))
    parser.add_argument("--official", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="", help="of `speed`: sets with this in their name")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--programs", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=0)
    options = parser.parse_args()
    options.repeat = options.repeat or {"stable": 10}.get(options.what, 2)
    options.programs = options.programs or {"flat": 50_000, "speed": 100}.get(options.what, 2000)
    {"speed": speed, "flat": flat, "deaths": deaths, "stable": stable}[options.what](options)


if __name__ == "__main__":
    main()
