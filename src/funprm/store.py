"""A run folder: append-only record files, and a manifest that says what is complete.

Every record is one flushed line of JSON that ends with its own checksum (`crc`). A line that a
kill tore at the end of a file is dropped when the file is opened; any other line that cannot be
read is an error that names its place, and one that was changed since counts as deleted. The
manifest notes what was done; whether it is done, the files decide (see `pipeline.stage`).

A shard (`shards`) appends to files of its own, and all are read: no two processes write to one.
"""

import errno
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, Self, TypedDict, TypeVar

import msgspec

from funprm.disk import atomic_file, disk_errors, write_atomically
from funprm.errors import InputError, RecordError, StoreError
from funprm.locks import locks_of
from funprm.records import Json
from funprm.shards import Shard, shard_files

T = TypeVar("T")

FORMAT = 2
"""Version of run folders; raised when stored files of before can no longer be used."""

_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"}\n\Z')


def encode_line(record: Any) -> bytes:  # noqa: ANN401  (any record type)
    """One line of JSON; fields that have their default value are left out.

    The last field, `crc`, is the CRC-32 of the line without it.
    """
    values = {
        field.name: value
        for field in fields(record)
        if (value := getattr(record, field.name)) != field.default or field.default is MISSING
    }
    body = msgspec.json.encode(values)
    return b'%b,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body))


def as_written(line: bytes) -> bool:
    """Whether a line is what was written; lines without a checksum (of other tools) are taken."""
    found = _CRC.search(line, max(0, len(line) - 20))
    return found is None or int(found[1], 16) == zlib.crc32(b"}", zlib.crc32(line[: found.start()]))


def read_records(path: Path, kind: type[T]) -> Iterator[T]:
    """The records of a file, without a torn last line; errors as `read_lines`."""
    return (record for _, record in read_lines(path, kind))


def read_lines(path: Path, kind: type[T]) -> Iterator[tuple[bytes, T]]:
    """The lines of a file with their records, without a torn last line.

    A line whose checksum tells that it was changed since is left out, as if it were deleted.

    Raises:
        RecordError: a line that is not a record of this kind; names file and line number.
        StoreError: it is no file that can be read.
    """
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(kind)
    with disk_errors(path, "read"), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RecordError(
                    f"{path}:{number}: not a {kind.__name__} record ({error}); "
                    "delete the line (its work is then done again) or restore the file"
                ) from error
            if as_written(line):
                yield line, record


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Replace a record file by these records, at once and at the end.

    Raises:
        StoreError: no space left, or the place is not writable.
    """
    with atomic_file(path) as file:
        for record in records:
            file.write(encode_line(record))


class RecordFile(Generic[T]):
    """A file of records that grows by whole lines.

    Use as a context manager to append. Opening drops a torn last line.

    Args:
        path: where records are appended.
        kind: of the records.
        others: files of other processes, which are read, too, before it.
    """

    def __init__(self, path: Path, kind: type[T], others: Sequence[Path] = ()) -> None:
        self.path = path
        self.kind = kind
        self._others = others
        self._file: IO[bytes] | None = None

    def __iter__(self) -> Iterator[T]:
        return (record for _, record in self.lines())

    def lines(self) -> Iterator[tuple[bytes, T]]:
        """The lines with their records."""
        for path in (*self._others, self.path):
            yield from read_lines(path, self.kind)

    def __enter__(self) -> Self:
        with disk_errors(self.path):
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
        with disk_errors(self.path):
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


class _Manifest(TypedDict):
    """What `manifest.json` holds."""

    schema: int
    settings: dict[str, Json] | None
    """By dotted name; None: not settled yet."""
    stages: dict[str, dict[str, Json]]


class RunFolder:
    """The folder of one run, held by one process at a time.

    Args:
        path: created where it does not exist.
        settings: what determines the results; a folder made with others is refused.
        owned: False: another process holds it and writes; this one only reads.
        free: dotted names of settings that may differ from those the folder was made with.
        part: this process is one of several that do a stage, here named with its shard. They hold
            the folder together, and write each to files of its own.

    Raises:
        StoreError: made with other settings (names which differ), used by another process, or
            not writable.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Json],
        *,
        owned: bool = True,
        free: Collection[str] = (),
        part: tuple[str, Shard] | None = None,
    ) -> None:
        self.path = path
        self.owned = owned and part is None
        """Whether this process alone holds the folder, and writes."""
        self._shard = part[1] if part else None
        self._locks = locks_of(path, part) if owned else []
        try:
            self._manifest = _read_manifest(path)
            self._check_settings(settings, frozenset(free))
        except BaseException:
            self.close()
            raise
        if self.owned:  # nobody else writes: these are of processes that have ended
            for left in (*path.glob(".*.jsonl.*"), *path.glob(".*-of-*.lock")):
                left.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another process use the folder."""
        for lock in self._locks:
            lock.close()
        self._locks = []

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
        """The record file `<name>.jsonl`, or a shard's own; those of all others are read."""
        plain = self.path / f"{name}.jsonl"
        own = plain if self._shard is None else self.path / f"{name}.{self._shard.label}.jsonl"
        others = [path for path in (plain, *self.shards(name)) if path != own]
        return RecordFile(own, kind, others)

    def shards(self, name: str) -> list[Path]:
        """The files that shards have written in place of `<name>.jsonl`."""
        return shard_files(self.path, name)

    def write(self, name: str, records: Iterable[Any]) -> None:
        """Replace the record file `<name>.jsonl` by these records, at once and at the end.

        Raises:
            StoreError: no space left, or the folder is not writable.
        """
        write_records(self.path / f"{name}.jsonl", records)

    def complete(self, stage: str) -> Json | None:
        """What was noted of a stage when it was last done; None: nothing."""
        return self._manifest["stages"].get(stage)

    def mark_complete(self, stage: str, facts: Mapping[str, Json]) -> None:
        """Note what a stage did; `facts` (digests, counts, times) must be JSON-serialisable."""
        self._manifest["stages"][stage] = dict(facts)
        self._write_manifest()

    def _check_settings(self, settings: Mapping[str, Json], free: frozenset[str]) -> None:
        now = flatten(msgspec.json.decode(msgspec.json.encode(settings)))
        now = _without(free, now)
        if self._manifest["settings"] is None:
            self._manifest["settings"] = now
            self._write_manifest()
            return
        before = _without(free, self._manifest["settings"])
        tables = {key.partition(".")[0] for key, value in before.items() if value is not None}
        added = {k: v for k, v in now.items() if k.partition(".")[0] not in tables}
        if added:  # a part that the stages so far did without
            before = {k: v for k, v in before.items() if v is not None} | added
            self._manifest["settings"] = before
            now = {k: v for k, v in now.items() if v is not None or k in before}
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
        if not self.owned:
            return
        data = msgspec.json.format(msgspec.json.encode(self._manifest), indent=1)
        write_atomically(self.path / "manifest.json", data + b"\n")


def settings_in(path: Path) -> dict[str, Json]:
    """The settings that a run folder was made with, by dotted name.

    Raises:
        InputError: there is no run folder.
        StoreError: its manifest cannot be read.
    """
    settings: dict[str, Json] | None = _read_manifest(path)["settings"]
    if settings is None:
        raise InputError(f"no run folder at {path}: expected a folder with a manifest.json")
    return settings


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.exists():
        return {"schema": FORMAT, "settings": None, "stages": {}}
    with disk_errors(path, "read"):
        content = path.read_bytes()
    try:
        manifest = msgspec.json.decode(content, type=dict[str, Any])
        if manifest.get("schema") == FORMAT:
            msgspec.convert(manifest, _Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(
            f"{path} is not a manifest ({error}): restore it, or give another `output`"
        ) from error
    if manifest.get("schema") != FORMAT:
        raise StoreError(
            f"run folder {folder} has format {manifest.get('schema')}, not {FORMAT} as today: give "
            "another `output` (policy 'replay' takes the programs from the old generations.jsonl)"
        )
    return manifest


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


def _without(names: Collection[str], flat: Mapping[str, Json]) -> dict[str, Json]:
    """A flattened mapping without some names, tables with all that they hold."""
    return {
        key: value
        for key, value in flat.items()
        if not any(key == name or key.startswith(f"{name}.") for name in names)
    }
