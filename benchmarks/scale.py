"""Time and memory of a run's stages, by the number of completions: does anything grow too fast?

A run without models: programs of 600 characters come from a script, verdicts from a hash, so that
what is measured is the pipeline and its files. Each stage is a process of its own, as after an
interruption, and reads what the stages before have stored.

    python benchmarks/scale.py --completions 10000 100000
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from funprm.config import parse_config
from funprm.interfaces import Job, Request, Sample
from funprm.pipeline.stages import run_stage
from funprm.records import CaseResult, Json, Status, Verdict, key_of

STAGES = """load generate segment rollout execute reward train score select report""".split()
PROGRAMS, COMPLETIONS, FUNCTIONS = 8, 8, 3
"""Of a problem, of a prefix, of a program."""


@dataclass(kw_only=True, eq=False)
class ScriptPolicy:
    """Writes and completes programs of a few functions, all different."""

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False

    batch: int = 1024

    def identity(self) -> Mapping[str, Json]:
        """Nothing varies."""
        return {"policy": "script"}

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        """The functions that the prefix lacks."""
        for request in requests:
            code = request.prefix
            for number in range(code.count("def "), FUNCTIONS):
                value = key_of(request.seed, number)
                filler = "".join(f"    x{i} = '{value[:16]}'\n" for i in range(6))
                code += f"def step_{number}(value):\n{filler}    return value\n\n\n"
            yield Sample(key=request.key, code=code, completion_tokens=len(code) // 3)


@dataclass(kw_only=True, eq=False)
class HashExecutor:
    """Passes every second program, by a hash."""

    def identity(self) -> Mapping[str, Json]:
        """Nothing varies."""
        return {"judge": "hash"}

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """At once."""
        for job in jobs:
            status = (Status.PASSED, Status.WRONG_ANSWER)[int(job.key[0], 16) % 2]
            results = (CaseResult(index=0, status=status, digest=job.key),)
            yield Verdict(key=job.key, status=status, results=results, total=1)

    def close(self) -> None:
        """Nothing was started."""


class Silent:
    """Progress that is not shown."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Shows nothing."""

    def advance(self, count: int = 1) -> None:
        """Shows nothing."""

    def finish(self, note: str) -> None:
        """Shows nothing."""


def settings(folder: Path, completions: int) -> dict[str, Any]:
    """A run of so many completions; a third of its problems are test problems."""
    train = max(1, completions // (PROGRAMS * COMPLETIONS * (FUNCTIONS - 1)))
    tests = [{"input": "1", "output": "1", "public": True}, {"input": "2", "output": "2"}]
    with (folder / "problems.jsonl").open("w") as file:
        for number in range(train + train // 2):
            split = "train" if number < train else "test"
            text = f"Solve problem {number}. " * 30
            row = {"id": f"p{number}", "statement": text, "split": split, "tests": tests}
            file.write(json.dumps(row) + "\n")
    return {
        "output": str(folder / "run"),
        "dataset": {"name": "jsonl", "path": str(folder / "problems.jsonl")},
        "policy": {"name": "scale:ScriptPolicy"},
        "executor": {"name": "scale:HashExecutor"},
        "generate": {"n": PROGRAMS},
        "rollout": {"k": COMPLETIONS},
        "select": {"bootstrap": 1000},
    }


def measure(stage: str, wanted: dict[str, Any], result: Any) -> None:  # noqa: ANN401
    """Do a stage; its seconds and its peak memory in MiB."""
    started = time.process_time()
    run_stage(parse_config(wanted), Silent(), stage)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result.send((time.process_time() - started, peak))


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--completions", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument(
        "--folder", type=Path, help="where runs are made (default: a temporary one)"
    )
    arguments = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    for completions in arguments.completions:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            wanted = settings(Path(name), completions)
            for stage in STAGES:
                here, there = processes.Pipe()
                work = processes.Process(target=measure, args=(stage, wanted, there))
                work.start()
                there.close()
                seconds, peak = here.recv()
                work.join()
                tell(f"{completions:>9,} {stage:<10}{seconds:8.1f} s {peak:8.0f} MiB")
            size = sum(path.stat().st_size for path in (Path(name) / "run").iterdir()) / 2**20
            tell(f"{completions:>9,} files{size:>26.0f} MiB")


if __name__ == "__main__":
    main()
