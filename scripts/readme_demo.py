"""Run the demo and write its output into the docs, with the machine that printed it.

    python scripts/readme_demo.py            # docs/demo.md, and the table of the README
    python scripts/readme_demo.py --print    # to standard output instead

The block is between the marks <!-- demo --> and <!-- /demo -->. The table comes from the run's
`summary.json`, and is between <!-- table --> and <!-- /table -->.

What may differ elsewhere: times; and, because other processors sum in another order, the last bits
of what a model computes. Sampled programs hardly ever change by them (a random number would have to
fall between two roundings), so rows without a reward model stay as they are or nearly so. Training
magnifies them: accuracies of trained models move by about a point, as by another training seed.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from funprm.report.wording import selector_label

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"demo": ROOT / "docs" / "demo.md", "table": ROOT / "README.md"}
"""Where each piece stands, between marks of its name."""

LEFT_OUT = ("majority", "self_certainty", "public_tests+majority")
"""Rows that the README leaves to docs/demo.md."""

PROGRESS = re.compile(r"^\w+ +\d+(/\d+)? after \d+ s(, .*)?$")
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
    """The block of docs/demo.md.

    Args:
        printed: what the demo wrote, progress and report.
        where: the machine.
        folder: of the run, which the page calls runs/demo.
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


def table(summary: Mapping[str, Any]) -> str:
    """The README's table: accuracy of the chosen programs, from a run's `summary.json`."""
    rows = [row for row in summary["table"] if row["selector"] not in LEFT_OUT]
    n, problems = max(row["n"] for row in rows), rows[0]["problems"]
    lines = [
        f"| choice among {n} programs | solved, % of {problems:,} | 95 % interval |",
        "|---|---|---|",
    ]
    for row in rows:
        low, middle, high = (100 * row["accuracy"][key] for key in ("low", "estimate", "high"))
        lines.append(
            f"| {selector_label(row['selector'])} | {middle:.1f} | {low:.1f} to {high:.1f} |"
        )
    return "\n".join(lines) + "\n"


def replaced(page: str, name: str, fresh: str) -> str:
    """A page's text with a new piece between its marks.

    Raises:
        ValueError: it has no such marks, or several.
    """
    piece = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if len(piece.findall(page)) != 1:
        raise ValueError(f"expected one pair of marks <!-- {name} --> and <!-- /{name} -->")
    return piece.sub(lambda match: match[1] + fresh + match[2], page)


def main() -> None:
    """Run the demo from its beginning, and write both pieces."""
    parser = argparse.ArgumentParser(description="Write the demo's output into the docs.")
    parser.add_argument("--print", action="store_true", help="to standard output instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "demo"
        command = [sys.executable, "-m", "funprm", "demo", "--output", str(output)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        )
        pieces = {
            "demo": block(done.stdout, machine(), str(output)),
            "table": table(json.loads((output / "summary.json").read_text(encoding="utf-8"))),
        }
    for name, fresh in pieces.items():
        if arguments.print:
            sys.stdout.write(fresh)
        else:
            page = PAGES[name]
            page.write_text(replaced(page.read_text(encoding="utf-8"), name, fresh), "utf-8")


if __name__ == "__main__":
    main()
