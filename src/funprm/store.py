"""A run folder: append-only record files, and a manifest that says what is complete.

Every record is one flushed line of JSON. A line that a kill tore at the end of a file is
dropped when the file is opened; any other unreadable line is an error that names its place.
The manifest is written last, atomically: a stage it calls complete needs no look at its files.
"""

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, Self, TypeVar

import msgspec

from funprm.errors import RecordError, StoreError
from funprm.records import SCHEMA, Json

T = TypeVar("T")


def encode_line(record: Any) -> bytes:  # noqa: ANN401  (any record type)
    """One line of JSON; fields that have their default value are left out."""
    values = {
        field.name: value
        for field in fields(record)
        if (value := getattr(record, field.name)) != field.default or field.default is MISSING
    }
    return msgspec.json.encode(values) + b"\n"


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line for the user."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = (
                f"no space left while writing {path}: free some space and run the same command "
                "again; what was stored is kept"
            )
        else:
            message = f"cannot write {path}: {error.strerror or error}"
        raise StoreError(message) from error


def read_records(path: Path, kind: type[T]) -> Iterator[T]:
    """The records of a file, without a torn last line.

    Raises:
        RecordError: a line that is not a record of this kind; names file and line number.
    """
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(kind)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RecordError(
                    f"{path}:{number}: not a {kind.__name__} record ({error}); "
                    "delete the line (its work is then done again) or restore the file"
                ) from error


class RecordFile(Generic[T]):
    """A file of records that grows by whole lines.

    Use as a context manager to append. Opening drops a torn last line.
    """

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path = path
        self.kind = kind
        self._file: IO[bytes] | None = None

    def __iter__(self) -> Iterator[T]:
        return read_records(self.path, self.kind)

    def __enter__(self) -> Self:
        with _disk_errors(self.path):
            self._file = self.path.open("ab+", buffering=0)
            _drop_torn_line(self._file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, *records: T) -> None:
        """Write records; they are in the operating system's hands when this returns."""
        if self._file is None:
            raise RuntimeError("append needs an open RecordFile: use it in a `with` statement")
        data = b"".join(encode_line(record) for record in records)
        with _disk_errors(self.path):
            written = self._file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _drop_torn_line(file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    position = size
    while position > 0:
        start = max(0, position - 65536)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position != size:
        file.truncate(position)
    file.seek(0, os.SEEK_END)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write; it takes the place of `path` at once, if the block ends well.

    Raises:
        StoreError: no space left, or the place is not writable.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with _disk_errors(path):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file at once: readers see the old content or the new one.

    Raises:
        StoreError: no space left, or the place is not writable.
    """
    with atomic_file(path) as file:
        file.write(data)


class RunFolder:
    """The folder of one run, held by one process at a time.

    Args:
        path: created where it does not exist.
        settings: what determines the results; a folder made with others is refused.
        owned: False: another process holds it and writes; this one only reads.

    Raises:
        StoreError: made with other settings (names which differ), used by another process, or
            not writable.
    """

    def __init__(self, path: Path, settings: Mapping[str, Json], *, owned: bool = True) -> None:
        self.path = path
        self._lock = _locked(path) if owned else None
        try:
            self._manifest = self._read_manifest()
            self._check_settings(settings)
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Let another process use the folder."""
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def records(self, name: str, kind: type[T]) -> RecordFile[T]:
        """The record file `<name>.jsonl`."""
        return RecordFile(self.path / f"{name}.jsonl", kind)

    def complete(self, stage: str) -> Json | None:
        """What a stage left in the manifest when it was done; None if it is not done."""
        return self._manifest["stages"].get(stage)

    def mark_complete(self, stage: str, facts: Mapping[str, Json]) -> None:
        """Say that a stage is done; `facts` (counts, times) must be JSON-serialisable."""
        self._manifest["stages"][stage] = dict(facts)
        self._write_manifest()

    def _read_manifest(self) -> dict[str, Any]:
        path = self.path / "manifest.json"
        if not path.exists():
            return {"schema": SCHEMA, "settings": None, "stages": {}}
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise StoreError(
                f"{path} is not a manifest ({error}): restore it, or give another `output`"
            ) from error
        if manifest.get("schema") != SCHEMA:
            raise StoreError(
                f"run folder {self.path} has record schema {manifest.get('schema')}, this version "
                f"writes {SCHEMA}: give another `output`"
            )
        return manifest

    def _check_settings(self, settings: Mapping[str, Json]) -> None:
        now = flatten(msgspec.json.decode(msgspec.json.encode(settings)))
        if self._manifest["settings"] is None:
            self._manifest["settings"] = now
            self._write_manifest()
            return
        before = self._manifest["settings"]
        differing = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
        if differing:
            shown = ", ".join(
                f"{key} was {before.get(key)!r}, now {now.get(key)!r}" for key in differing[:4]
            )
            more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
            raise StoreError(
                f"run folder {self.path} was made with other settings ({shown}{more}): give "
                "another `output`, or restore the settings"
            )

    def _write_manifest(self) -> None:
        if self._lock is None:
            return
        data = msgspec.json.format(msgspec.json.encode(self._manifest), indent=1)
        write_atomically(self.path / "manifest.json", data + b"\n")


def _locked(path: Path) -> IO[str]:
    """A folder's lock, held until it is closed; the folder is made."""
    with _disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StoreError(
            f"run folder {path} is in use by another process: wait for it, or give another `output`"
        ) from error
    return lock


def flatten(tree: Json, prefix: str = "") -> dict[str, Json]:
    """A nested mapping as one level of dotted keys.

    >>> flatten({"a": {"b": 1}, "c": [2]})
    {'a.b': 1, 'c': [2]}
    """
    flat: dict[str, Json] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def by_key(records: Iterable[T]) -> dict[str, T]:
    """Records by their `key`; of equal keys the last one counts (a later, better attempt)."""
    return {record.key: record for record in records}  # type: ignore[attr-defined]
