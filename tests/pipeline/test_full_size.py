"""A run through all stages on LiveCodeBench's official encoding, with suites of its real sizes.

What a suite weighs decides nothing: the table is that of the same problems with small tests, and
every stage's counts add up.
"""

import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.official_files import livecodebench, packed

CASES = 8
PROGRAMS = 4


def write_problems(folder: Path, sizes: list[int]) -> None:
    """Problems with hidden tests of so many characters, half of them before February 2025.

    Programs print a number that depends on the length of the input; one of each problem is wrong
    in the last hidden case only, one fails at once.
    """
    folder.mkdir()
    rng = random.Random(0)
    with (
        (folder / "test6.jsonl").open("w") as problems,
        (folder / "programs.jsonl").open("w") as programs,
    ):
        for number, size in enumerate(sizes):
            lengths = [max(1, size // CASES) + case for case in range(CASES)]
            tests = [
                {
                    "input": rng.randbytes(length // 2 + 1).hex()[: length - 1]
                    + ("!" if length == lengths[-1] else "?"),
                    "output": str(length + number),
                    "testtype": "stdin",
                }
                for length in lengths
            ]
            public = [{"input": "abc", "output": str(3 + number), "testtype": "stdin"}]
            row = livecodebench(
                question_id=f"q{number}",
                question_content=f"Print the length of the input plus {number}.",
                contest_date=f"2025-0{1 + number % 2}-15T00:00:00",
                public_test_cases=json.dumps(public),
                private=packed(json.dumps(tests)),
            )
            problems.write(json.dumps(row) + "\n")
            for code in codes(number):
                programs.write(json.dumps({"question_id": f"q{number}", "code": code}) + "\n")


def codes(number: int) -> list[str]:
    head = "import sys\n\n\ndef size(text):\n    return len(text)\n\n\n"
    read = "def main():\n    text = sys.stdin.read()\n    n = size(text)\n"
    return [
        f"{head}{read}    print(n + {number})\n\n\nmain()\n",
        f"{head}{read}    print(n + {number} - text.endswith('!'))\n\n\nmain()\n",
        f"import sys\n\nprint(len(sys.stdin.read()) + {number})\n",
        f"{head}{read}    print(n[0])\n\n\nmain()\n",
    ]


def run(folder: Path, sizes: list[int]) -> tuple[Any, str, float]:
    """Summary, table, and seconds of `funprm run` in a process of its own."""
    write_problems(folder, sizes)
    (folder / "run.toml").write_text(CONFIG.format(folder=folder))
    started = time.monotonic()
    command = [sys.executable, "-m", "funprm", "run", str(folder / "run.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seconds = time.monotonic() - started
    summary = json.loads((folder / "run" / "summary.json").read_text())
    return summary, (folder / "run" / "table.txt").read_text(), seconds


CONFIG = """
title = "Sizes"
output = "{folder}/run"
dataset = {{ name = "livecodebench", path = "{folder}/test6.jsonl", train_before = "2025-02-01", \
test_from = "2025-02-01", split = {{ train = 0.5, meta = 0.25, validation = 0.25 }}, seconds = 20 }}
policy = {{ name = "replay", path = "{folder}/programs.jsonl" }}
executor = {{ name = "local", workers = 2 }}
generate = {{ n = 4 }}
rollout = {{ k = 0 }}
select = {{ bootstrap = 200 }}
train = {{ tuning = "frozen", epochs = 4.0, batch = 4 }}
[models.orm]
labels = "outcome"
[models.prm]
clean_outcomes = false
correction = "none"
"""


def counts(folder: Path) -> dict[str, Any]:
    stages = json.loads((folder / "run" / "manifest.json").read_text())["stages"]
    return {name: stage["facts"] for name, stage in stages.items()}


def check(tmp_path: Path, sizes: list[int]) -> float:
    full, table, seconds = run(tmp_path / "full", sizes)
    small, expected, _ = run(tmp_path / "small", [10] * len(sizes))
    assert table == expected
    assert full["missing"] == small["missing"] == {}
    number = len(sizes)
    stages = counts(tmp_path / "full")
    assert stages["load"]["problems"] == number
    assert sum(stages["load"]["splits"].values()) == number
    assert stages["generate"]["programs"] == PROGRAMS * number
    hidden = PROGRAMS * number
    tests = stages["load"]["splits"]["test"]
    shown = PROGRAMS * tests * 2 - (tests - 1)  # public tests, probes; one program of all is one
    assert stages["execute"]["programs"] == hidden + shown
    assert stages["execute"]["wrong answer"] == number  # in the last hidden case only
    assert stages["execute"] == counts(tmp_path / "small")["execute"]
    assert stages["reward"]["programs"] == PROGRAMS * number
    assert set(stages["train"]) == {"orm", "prm"}
    assert stages["score"]["scores"] == 2 * PROGRAMS * tests
    assert stages["select"]["problems"] == tests
    return seconds


def test_suites_beyond_the_packed_size_are_judged(tmp_path: Path) -> None:
    check(tmp_path, [10, 100, 1_000, 65_535, 65_536, 70_000, 200_000, 400_000] * 2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_gigabytes_of_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [10, 1_000, 65_000, 66_000, 1_000_000, 10_000_000, *[50_000_000] * 34]
    sizes += [60_000_000] * 5  # 2.01 GB in all, with the numbers around them
    seconds = check(tmp_path, sizes)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    with capsys.disabled():
        sys.stdout.write(
            f"\n{sum(sizes) / 1e9:.2f} GB of tests: {seconds:.0f} s, peak {peak:.0f} MiB\n"
        )
