"""One run folder from several: what shards have written, in one place."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funprm.disk import atomic_file
from funprm.errors import InputError
from funprm.pipeline.stage import Grown
from funprm.pipeline.stages import STAGES
from funprm.records import Generation, Json
from funprm.store import RunFolder, settings_in

_FILES: tuple[Grown[Any], ...] = (
    *(stage.take for stage in STAGES.values() if isinstance(stage.take, Grown)),
    Grown(file="drafts", kind=Generation, plan=lambda run: (), hand=lambda run, found: None),
)
"""What grows; all else follows from it, and is written again where it is wanted."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a folder holds now."""

    folder: Path
    records: dict[str, int]
    """By file, without those that there were already in another one."""

    def json(self) -> Json:
        """For machines."""
        return {"folder": str(self.folder), "records": self.records}

    def text(self) -> str:
        """For people."""
        found = ", ".join(f"{count:,} {name}" for name, count in self.records.items())
        return f"{self.folder}: {found or 'no records'}"


def merge(folders: Sequence[Path], output: Path | None = None) -> Merged:
    """Bring the records of run folders, and of their shards, into one.

    Each record is kept once, as it was written. Problems, steps and reports are not copied: they
    follow from the data set and the records, and the next command on the folder writes them.

    Args:
        folders: of one configuration.
        output: a folder, new or one of these; None: the first of them.

    Raises:
        InputError: there is no folder.
        StoreError: a folder was made with other settings, or a process works in it.
    """
    if not folders:
        raise InputError("no folder to merge: expected run folders")
    target = output or folders[0]
    settings = [settings_in(folder) for folder in folders][0]
    places = {path.resolve(): path for path in folders if path.resolve() != target.resolve()}
    with ExitStack() as opened:
        to, *others = (
            opened.enter_context(RunFolder(path, settings)) for path in (target, *places.values())
        )
        counts = {file.file: _write(file, to, [to, *others]) for file in _FILES}
    return Merged(folder=target, records={name: count for name, count in counts.items() if count})


def _write(file: Grown[Any], to: RunFolder, sources: Sequence[RunFolder]) -> int:
    """Write a file's records, and remove those that shards wrote beside it; how many there are."""
    kept: dict[str, bool] = {}

    def lines() -> Iterator[bytes]:
        for source in sources:
            for line, record in source.records(file.file, file.kind).lines():
                result = file.counts(record)
                if record.key not in kept or (result and not kept[record.key]):
                    kept[record.key] = result
                    yield line

    path = to.path / f"{file.file}.jsonl"
    found = lines()
    first = next(found, None)
    if first is not None:
        with atomic_file(path) as whole:
            whole.write(first)
            whole.writelines(found)
    for shard in to.shards(file.file):
        shard.unlink()
    return len(kept)
