"""Reading data files: JSON lines, plain or gzipped, one row in memory at a time."""

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from funprm.errors import InputError, RecordError
from funprm.records import SCHEMA, Json, Problem, Suite, key_of

Row = TypeVar("Row")


def data_files(path: str, patterns: Sequence[str], source: str) -> list[Path]:
    """The files that a `path` setting means: the file itself, or those of a folder.

    Args:
        path: a file, or a folder.
        patterns: file names (glob patterns) to look for in a folder, in order of preference; all
            files that match the first pattern with a match are taken, sorted by name.
        source: where the file can be had, for the error message.

    Raises:
        InputError: nothing is there.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(f"no file or folder {path!r}: {source}")
    for pattern in patterns:
        if found := sorted(place.glob(pattern)):
            return found
    raise InputError(f"no {' or '.join(patterns)} in the folder {path!r}: {source}")


def read_rows(path: Path, row: type[Row]) -> Iterator[tuple[str, Row]]:
    """Rows of a file of JSON lines (`.json`: one JSON list), with their place "file:line".

    Args:
        path: plain or gzipped; blank lines are skipped.
        row: what a line is decoded to (a `msgspec.Struct`).

    Raises:
        InputError: the file cannot be opened.
        RecordError: a line is no JSON, or lacks a field; the message begins with its place.
    """
    decoder = msgspec.json.Decoder(row)
    for where, line in _list_items(path) if ".json" in path.suffixes else _lines(path):
        try:
            item = decoder.decode(line)
        except msgspec.ValidationError as error:
            raise RecordError(f"{where}: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError(f"{where}: expected one JSON object ({error})") from error
        yield where, item


def with_key(problem: Problem) -> Problem:
    """The problem with its key: a hash of its texts and tests, limits apart."""
    suites = [_identity(suite) for suite in (problem.hidden, problem.public, problem.probe)]
    texts = [problem.problem_id, problem.statement, problem.starter_code]
    return replace(problem, key=key_of("problem", SCHEMA, texts, suites))


def _identity(suite: Suite | None) -> Json:
    if suite is None:
        return None
    cases = [[case.input, case.output] for case in suite.cases]
    return [suite.kind, suite.entry_point, suite.code, suite.prelude, cases]


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    number = 0
    with _opened(path) as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", line
        except (OSError, EOFError, zlib.error) as error:
            raise RecordError(
                f"{path}:{number + 1}: the file is damaged or cut off ({error}); fetch it again"
            ) from error


def _list_items(path: Path) -> Iterator[tuple[str, msgspec.Raw]]:
    text = b"".join(line for _, line in _lines(path))
    try:
        items = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: expected a JSON list of objects ({error})") from error
    for number, item in enumerate(items, 1):
        yield f"{path}: item {number}", item


def _opened(path: Path) -> io.BufferedIOBase:
    try:
        with path.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
        return gzip.open(path, "rb") if gzipped else path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error
