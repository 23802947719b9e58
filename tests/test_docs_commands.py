"""Commands in the documentation are those of the command line, and name files that exist."""

import re
import shlex
from pathlib import Path

import pytest

from funprm.cli import build_parser
from funprm.config import parse_override

ROOT = Path(__file__).parents[1]
PLACES = [
    *(
        ROOT / "docs" / n
        for n in (
            "livecodebench.md",
            "data.md",
            "prompts.md",
            "tutorial.md",
            "judging.md",
            "cluster.md",
        )
    ),
    *sorted((ROOT / "configs").glob("*.toml")),
    ROOT / "README.md",
]
COMMANDS = [
    (path.name, command)
    for path in PLACES
    for command in re.findall(
        r"^(?: *|#   )funprm (.*)$", re.sub(r"\\\n#? *", "", path.read_text()), re.MULTILINE
    )
]


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 25


@pytest.mark.parametrize(("where", "command"), COMMANDS)
def test_commands_can_be_given(where: str, command: str) -> None:
    words = shlex.split(command, comments=True)
    arguments = build_parser().parse_args(words)
    for setting in getattr(arguments, "set", []):
        parse_override(setting)
    for word in words:
        if word.startswith("configs/"):
            assert (ROOT / word).is_file(), f"{where}: {word}"
