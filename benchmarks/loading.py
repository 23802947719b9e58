"""Loads a large file in LiveCodeBench's form, and prints time and memory.

The file is made in a temporary folder: problems whose private tests are packed as the benchmark
packs them, some megabytes each when unpacked. `python benchmarks/loading.py [--gigabytes 1]`
"""

import argparse
import base64
import json
import pickle
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from funprm.datasets.livecodebench.dataset import LiveCodeBenchDataset
from funprm.store import encode_line

DIGITS = 2_000_000
"""Of the input of one hidden test; its digits are random, so that they compress as real ones."""
TESTS = 2


def packed_tests(seed: int) -> str:
    """The private tests of one problem, packed."""
    generator = random.Random(seed)
    inputs = ["".join(generator.choices("0123456789", k=DIGITS)) for _ in range(TESTS)]
    tests = [{"input": text, "output": "0", "testtype": "stdin"} for text in inputs]
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def write_problems(path: Path, size: int) -> int:
    """Write problems until the file has `size` bytes; their number."""
    number = 0
    packs = [packed_tests(seed) for seed in range(4)]
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            row = {
                "question_title": f"Problem {number}",
                "question_content": f"Problem {number}: print 0.",
                "platform": "atcoder",
                "question_id": f"abc{number}_a",
                "contest_id": "abc",
                "contest_date": "2025-02-01T00:00:00",
                "starter_code": "",
                "difficulty": "easy",
                "public_test_cases": json.dumps([{"input": "1", "output": "0"}]),
                "private_test_cases": packs[number % len(packs)],
                "metadata": "{}",
            }
            file.write(f"{json.dumps(row)}\n")
            number += 1
    return number


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def load(path: str) -> dict[str, float]:
    """Load all problems, one after the other, as the stage `load` does."""
    started, stored, first, count = time.monotonic(), 0, 0.0, 0
    for problem in LiveCodeBenchDataset(path=path).load():
        stored += len(encode_line(problem))
        count += 1
        first = first or peak()
    seconds = time.monotonic() - started
    return {
        "problems": count,
        "seconds": round(seconds, 1),
        "stored MB": round(stored / 1e6),
        "peak MiB": round(peak()),
        "peak MiB after the first problem": round(first),
    }


def main() -> None:
    """Make the file, load it in a process of its own, print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        sys.stdout.write(json.dumps(load(arguments.load)) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.jsonl"
        write_problems(path, int(arguments.gigabytes * 1e9))
        command = [sys.executable, __file__, "--load", str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = {"file MB": round(path.stat().st_size / 1e6), **json.loads(done.stdout)}
    sys.stdout.write("".join(f"{value:>10} {name}\n" for name, value in found.items()))


if __name__ == "__main__":
    main()
