"""What verbs share: arguments, settings, and how they print."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from funprm.errors import ConfigError, InputError


class Counts(Protocol):
    """What a verb found, counted."""

    def json(self) -> object:
        """For machines."""
        ...

    def text(self) -> str:
        """For people."""
        ...


def add_set(parser: argparse.ArgumentParser, text: str) -> None:
    """`--set KEY=VALUE`."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """A run: its file, and what is given in place of its settings."""
    parser.add_argument("config", type=Path, help="a run's TOML file")
    parser.add_argument("--output", help="run folder, in place of the file's")
    parser.add_argument("--seed", type=int, help="in place of the file's")
    add_set(parser, "any other setting, such as generate.n=4; can be repeated")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def settings_of(
    arguments: argparse.Namespace, options: Sequence[str] = ("output", "seed")
) -> dict[str, Any]:
    """What some options and `--set` put in place of a file's settings."""
    given = {name: getattr(arguments, name) for name in options}
    given = {name: value for name, value in given.items() if value is not None}
    return {**given, **overrides(arguments)}


def overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `--set` puts in place of settings."""
    from funprm.config import parse_override

    return dict(map(parse_override, arguments.set))


def read_text(name: str) -> str:
    """The text of a file, or of standard input.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        message = f"cannot read {name}: {error.strerror}; give a file's path or -"
        raise InputError(message) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: {error}") from error


def write(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def warn(line: str) -> None:
    """One line of warning on standard error."""
    sys.stderr.write(f"funprm: {' '.join(line.split())}\n")


def print_json(value: object) -> None:
    """Print a value as JSON."""
    import msgspec

    write(msgspec.json.encode(value).decode())


def print_counts(counts: Counts, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        print_json(counts.json())
    else:
        write(counts.text())


def launched() -> tuple[int, int]:
    """Number of this process, and of all, as a launcher of several processes says."""
    rank, size = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    return int(rank) if rank.isdecimal() else 0, int(size) if size.isdecimal() else 1


def require_train(verb: str, size: int) -> None:
    """Refuses all other verbs to several processes."""
    if verb != "train":
        raise ConfigError(
            f"`funprm {verb}` in {size} processes (WORLD_SIZE): expected one; launch "
            "`funprm train` alone, after the stages before it"
        )
