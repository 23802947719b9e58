"""Pages of the documentation as programs.

Blocks of a page run from top to bottom in one interpreter and one folder. A block whose first line
is a comment with a file's name is that file. A text block after a Python block is what the latter
prints. `<!-- not run: WHY -->` before a block leaves it out.
"""

import contextlib
import io
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>.*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    text: str
    line: int
    why: str
    """Why it is not run; empty: it is."""


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that is to be run."""
    text = page.read_text()
    return [
        Block(m["kind"], m["text"], text.count("\n", 0, m.start("text")) + 1, m["why"] or "")
        for m in _BLOCK.finditer(text)
    ]


def has_python(page: Path) -> bool:
    """Whether there is Python on a page that is not left out."""
    return any(block.kind == "python" and not block.why for block in blocks(page))


def run(page: Path, folder: Path) -> None:
    """Run a page in a folder, which is the current one and the first to import from."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed: str | None = None
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.why:
            continue
        if block.kind == "text" and printed is not None:
            assert printed.rstrip() == block.text.rstrip(), f"{where}: not what is printed"
        printed = None
        if file := _FILE.match(block.text):
            (folder / file[1]).write_text(block.text)
        elif block.kind == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)
            printed = output.getvalue()
        elif block.kind == "console":
            for command in re.findall(r"^\$ (.*)$", block.text, re.MULTILINE):
                _command(command, folder)


def _command(command: str, folder: Path) -> None:
    """What a reader types after `$`; installing gives a folder's entry points their names."""
    if command == "pip install -e .":
        install(folder)
    elif command.startswith("funprm "):
        words = [sys.executable, "-m", *command.split()]
        environment = {"PYTHONPATH": f"{folder}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"


def install(folder: Path) -> None:
    """Give a folder the metadata that `pip install -e` gives it: no network, no environment."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
