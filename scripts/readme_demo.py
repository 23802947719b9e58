"""Run the demo and write what it prints into the README, with the machine that printed it.

    python scripts/readme_demo.py            # between the marks <!-- demo --> and <!-- /demo -->
    python scripts/readme_demo.py --print    # to standard output instead

What may differ elsewhere: times; and, because other processors sum in another order, the last bits
of what a model computes. Sampled programs hardly ever change by them (a random number would have to
fall between two roundings), so rows without a reward model stay as they are or nearly so. Training
magnifies them: accuracies of trained models move by about a point, as by another training seed.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- demo -->\n).*?(<!-- /demo -->)", re.DOTALL)
PROGRESS = re.compile(r"^\w+ +\d+(/\d+)? after \d+ s$")
"""A line of a stage that is not done: when it comes depends on the machine."""


def machine() -> str:
    """Processor, versions and day, in words."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    name = found[1] if found else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0))
    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "numpy"))
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return f"{name}, {cores} cores, Python {platform.python_version()}, {packages}, {today}"


def block(printed: str, where: str, folder: str) -> str:
    """The README's block.

    Args:
        printed: what the demo wrote, progress and report.
        where: the machine.
        folder: of the run, which the README calls runs/demo.
    """
    lines = [
        line.rstrip().replace(folder, "runs/demo")
        for line in printed.strip().split("\n")
        if not PROGRESS.match(line)
    ]
    text = "\n".join(lines)
    return (
        f"On {where}. Elsewhere times differ, and accuracies of trained models by about a point:\n"
        f"rounding depends on the processor, and training magnifies it.\n\n```text\n{text}\n```\n"
    )


def replaced(readme: str, fresh: str) -> str:
    """The README's text with a new block.

    Raises:
        ValueError: it has no marks, or several.
    """
    if len(BLOCK.findall(readme)) != 1:
        raise ValueError(f"expected one pair of demo marks in {README.name}")
    return BLOCK.sub(lambda match: match[1] + fresh + match[2], readme)


def main() -> None:
    """Run the demo from its beginning, and write the block."""
    parser = argparse.ArgumentParser(description="Write the demo's output into the README.")
    parser.add_argument("--print", action="store_true", help="to standard output instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "demo")
        command = [sys.executable, "-m", "funprm", "demo", "--output", output]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        )
        fresh = block(done.stdout, machine(), output)
    if arguments.print:
        sys.stdout.write(fresh)
    else:
        README.write_text(replaced(README.read_text(encoding="utf-8"), fresh), encoding="utf-8")


if __name__ == "__main__":
    main()
