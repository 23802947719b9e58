"""Tables in files, row by row: JSON lines, one JSON list, Parquet; plain or gzipped.

The ending of the name decides: `.jsonl`, `.json`, `.parquet`, and `.jsonl.gz` and `.json.gz`.
Parquet needs pyarrow, which nothing else here does.
"""

import codecs
import gzip
import importlib
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from funprm.disk import atomic_file
from funprm.errors import ConfigError, InputError, RecordError
from funprm.records import Json

Row = TypeVar("Row")
ENDINGS = (".jsonl", ".json", ".parquet")
_GROUP = 1024
"""Rows of a Parquet file that are in memory together."""


def read_rows(path: Path, row: type[Row]) -> Iterator[tuple[str, Row]]:
    """Rows of a file, with their place "file:line"; one row in memory at a time.

    Only a file that is one JSON list, and a group of rows of a Parquet file, are read whole.

    Args:
        path: a file of an ending in `ENDINGS`, plain or gzipped; any other is read as JSON lines.
        row: what a row is decoded to (a `msgspec.Struct`, `msgspec.Raw`, ...).

    Raises:
        InputError: the file cannot be opened, or is Parquet and pyarrow is missing.
        RecordError: a row is no JSON, or lacks a field; the message begins with its place.
    """
    for where, line in raw_rows(path):
        yield where, decoded(line, row, where)


def raw_rows(path: Path) -> Iterator[tuple[str, bytes | msgspec.Raw]]:
    """Rows as they stand in a file, with their places, for readers that go on after a bad one.

    Raises:
        InputError: the file cannot be opened, or is Parquet and pyarrow is missing.
        RecordError: the file is damaged, or is no JSON list where its name says so.
    """
    yield from _reader(path)(path)


def decoded(line: bytes | msgspec.Raw, row: type[Row], where: str) -> Row:
    """A row of `raw_rows`; errors as in `read_rows`."""
    try:
        return msgspec.json.decode(line, type=row)
    except msgspec.ValidationError as error:
        raise RecordError(f"{where}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"{where}: expected one JSON object ({error})") from error


def write_rows(path: Path, rows: Iterable[Mapping[str, Json]]) -> int:
    """Write a table, atomically; the number of its rows.

    Args:
        path: of an ending in `ENDINGS`, plain or gzipped; replaced if it exists.
        rows: objects with equal keys.

    Raises:
        ConfigError: another ending.
        InputError: Parquet is asked for and pyarrow is missing.
        StoreError: no space left, or the place is not writable.
    """
    kind = ending(path)
    if kind == ".parquet":
        table = _pyarrow("pyarrow").Table.from_pylist(list(rows))
        with atomic_file(path) as file:
            _pyarrow("pyarrow.parquet").write_table(table, file)
        return int(table.num_rows)
    with atomic_file(path) as file:
        if path.suffix != ".gz":
            return _write_json(file, rows, as_list=kind == ".json")
        # No name and no time in the header: equal tables are equal files.
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
            return _write_json(packed, rows, as_list=kind == ".json")


def ending(path: Path) -> str:
    """Which of `ENDINGS` a file has, `.gz` apart.

    Raises:
        ConfigError: none of them.
    """
    kind = _plain(path).suffix
    if kind in ENDINGS and not (kind == ".parquet" and path.suffix == ".gz"):
        return kind
    raise ConfigError(
        f"{str(path)!r}: expected a name that ends in {', '.join(ENDINGS)}, .jsonl.gz or .json.gz"
    )


def stem(path: Path) -> str:
    """A file's name without its ending, one of `ENDINGS` and `.gz`.

    >>> stem(Path("runs/gpt-4.1.jsonl.gz"))
    'gpt-4.1'
    """
    plain = _plain(path)
    return plain.stem if plain.suffix in ENDINGS else plain.name


def _plain(path: Path) -> Path:
    """The path without `.gz`."""
    return path.with_suffix("") if path.suffix == ".gz" else path


def _write_json(
    file: IO[bytes] | gzip.GzipFile, rows: Iterable[Mapping[str, Json]], *, as_list: bool
) -> int:
    count = 0
    for row in rows:
        if as_list:
            file.write(b",\n" if count else b"[\n")
        file.write(msgspec.json.encode(row) + (b"" if as_list else b"\n"))
        count += 1
    if as_list:
        file.write(b"\n]\n" if count else b"[]\n")
    return count


def _reader(path: Path) -> Callable[[Path], Iterator[tuple[str, bytes | msgspec.Raw]]]:
    if path.suffix == ".parquet":
        return _parquet_rows
    return _list_items if _plain(path).suffix == ".json" else _lines


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    number = 0
    with _opened(path) as file:
        try:
            for number, line in enumerate(file, 1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.strip():
                    yield f"{path}:{number}", text
        except (OSError, EOFError, zlib.error) as error:
            raise RecordError(
                f"{path}:{number + 1}: the file is damaged or cut off ({error}); fetch it again"
            ) from error


def _list_items(path: Path) -> Iterator[tuple[str, msgspec.Raw]]:
    text = b"".join(line for _, line in _lines(path))
    try:
        items = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"{path}: expected a JSON list of objects ({error})") from error
    for number, item in enumerate(items, 1):
        yield f"{path}: item {number}", item


def _parquet_rows(path: Path) -> Iterator[tuple[str, bytes]]:
    parquet = _pyarrow("pyarrow.parquet")
    number = 0
    try:
        with _opened(path) as file, closing(parquet.ParquetFile(file)) as table:
            for group in table.iter_batches(batch_size=_GROUP):
                for row in group.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", msgspec.json.encode(row)
    except (_pyarrow("pyarrow").ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise RecordError(f"{path}: no Parquet file ({reason}); fetch it again") from error


def _pyarrow(module: str) -> Any:  # noqa: ANN401  (an optional package without types)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            "Parquet files need the package pyarrow, which is not installed: "
            "pip install 'funprm[data]', or use JSON lines"
        ) from error


def _opened(path: Path) -> io.BufferedIOBase:
    try:
        with path.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
        return gzip.open(path, "rb") if gzipped else path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error
