"""The file that `funprm judge` writes: one verdict per program, all by the same tests and rules.

A call keeps the lines that it would write itself. All others are moved to a file beside it, at
once, before the first new line: no reader finds verdicts of other tests, programs or rules among
those of the last call.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from funprm.disk import write_atomically
from funprm.errors import ConfigError, RecordError, StoreError
from funprm.executors.grading.suites import shared_a_process
from funprm.records import ProgramVerdict, Status, Verdict
from funprm.store import as_written

_BEGIN = b'{"key":'
"""What every line begins with: how a line that a kill tore is told from a foreign file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    text: bytes
    verdict: ProgramVerdict | None
    """None: a line of an earlier version, which does not say what it depends on, or one that was
    changed since."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a call found in its file."""

    statuses: dict[str, Status]
    """Verdicts that count, by the program's key."""
    shared: int
    """Programs among them that passed in one process with their tests."""
    moved: dict[str, int]
    """Number of lines that do not, by the reason."""


def earlier(out: Path) -> Path:
    """Where lines go that do not count."""
    return out.with_name(f"{out.name}.earlier")


def read(out: Path) -> list[_Line]:
    """All lines of a file of verdicts, but one that was torn at its end.

    Raises:
        ConfigError: the name, or what is there, is no place for verdicts.
        RecordError: a line that is no verdict: it is another file, which is left as it is.
    """
    if out.suffix in (".gz", ".json", ".parquet"):
        raise ConfigError(f"--out {out}: verdicts are JSON lines: give a name such as v.jsonl")
    if out.name == "verdicts.jsonl" and (out.parent / "manifest.json").exists():
        raise ConfigError(f"--out {out}: that file belongs to the run there: give another name")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}: make it first")
    if out.exists() and not out.is_file():
        raise ConfigError(f"--out {out} is not a regular file: give the name of one")
    lines = _content(out).split(b"\n")
    found = []
    for number, text in enumerate(lines, 1):
        torn = number == len(lines) and (text.startswith(_BEGIN) or _BEGIN.startswith(text))
        line = _line(text)
        if line is not None:
            found.append(line)
        elif text.strip() and (not torn or _is_json(text)):
            raise RecordError(
                f"{out}:{number}: not a verdict of `funprm judge`: give another --out, or delete "
                "the line (its program is then judged again)"
            )
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def _line(text: bytes) -> _Line | None:
    for kind in (ProgramVerdict, Verdict):
        try:
            found = msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        whole = text + b"\n"
        verdict = found if isinstance(found, ProgramVerdict) and as_written(whole) else None
        return _Line(text=whole, verdict=verdict)
    return None


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def keep(out: Path, suite: str, wanted: Mapping[str, str]) -> Kept:
    """Leave only lines that count in a file of verdicts; it is changed at once, or not at all.

    Args:
        out: the file; it may be absent.
        suite: name of the suite.
        wanted: digest of each program's verdict, by the program's key.

    Raises:
        RecordError: as of `read`.
        StoreError: a file cannot be read or written.
    """
    kept: dict[str, _Line] = {}
    moved: list[_Line] = []
    reasons: Counter[str] = Counter()
    for line in read(out):
        reason = _reason(line, suite, wanted)
        if reason:
            reasons[reason] += 1
            moved.append(line)
        elif line.verdict and line.verdict.status is not Status.NOT_JUDGED:
            kept[line.verdict.key] = line
    if moved:
        place = earlier(out)
        write_atomically(place, _content(place) + b"".join(line.text for line in moved))
    content = b"".join(line.text for line in kept.values())
    if content != _content(out):
        write_atomically(out, content)
    statuses = {key: line.verdict.status for key, line in kept.items() if line.verdict}
    shared = sum(shared_a_process(line.verdict) for line in kept.values() if line.verdict)
    return Kept(statuses=statuses, shared=shared, moved=dict(reasons))


def _reason(line: _Line, suite: str, wanted: Mapping[str, str]) -> str:
    """Why a line does not count; empty: it does, or says that nothing was judged."""
    verdict = line.verdict
    if verdict is None:
        return "of an earlier version, or changed since"
    if verdict.status is Status.NOT_JUDGED:
        return ""
    if verdict.key not in wanted:
        return "of programs that are not there now"
    if verdict.suite != suite:
        return f"by {verdict.suite} tests"
    if verdict.digest != wanted[verdict.key]:
        return "by other tests, code, rules or interpreter, or of another problem"
    return ""


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Hold a file of verdicts, so that a second process does not write it.

    Raises:
        StoreError: another process holds it, or its folder is not writable.
    """
    path = out.with_name(f".lock-{out.name}")
    try:
        lock = path.open("w", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists() or os.fstat(lock.fileno()).st_ino != path.stat().st_ino:
            raise BlockingIOError  # its holder has just removed it
    except OSError as error:
        lock.close()
        raise StoreError(
            f"{out} is in use by another process: wait for it, or give another --out"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.close()
