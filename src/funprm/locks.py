"""Who may work on a run folder: one process, or one for each shard of a stage.

Locks hold between the processes of a machine; on file systems that pass them on, between machines.
"""

import fcntl
import logging
from pathlib import Path
from typing import IO

from funprm.disk import disk_errors
from funprm.errors import StoreError
from funprm.shards import Shard

_log = logging.getLogger(__name__)


def locks_of(path: Path, part: tuple[str, Shard] | None) -> list[IO[str]]:
    """The locks that a process holds on a folder, which is made; closing them opens it to others.

    Raises:
        StoreError: another process holds the folder, the same shard, or one of another number.
    """
    busy = f"run folder {path} is in use by another process: wait for it"
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    if part is None:
        return [_locked(path / ".lock", f"{busy}, or give another `output`")]
    stage, shard = part
    held = [_locked(path / ".lock", busy, shared=True)]
    try:
        twice = f"shard {shard} of {stage!r} is at work in another process: wait for it"
        held.append(_locked(path / f".{stage}.{shard.label}.lock", twice))
        for other in path.glob(f".{stage}.*-of-*.lock"):
            found = Shard.of_file(other)
            if found and found.count != shard.count:
                others = f"shard {found} of {stage!r} is at work: all need one count; wait for it"
                _locked(other, others, shared=True).close()
    except BaseException:
        for lock in held:
            lock.close()
        raise
    return held


def _locked(path: Path, refusal: str, *, shared: bool = False) -> IO[str]:
    """A lock that is held until it is closed.

    Raises:
        StoreError: another process holds it; with this text.
    """
    with disk_errors(path):
        lock = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise StoreError(refusal) from error
    except OSError as error:
        _log.warning("%s cannot be locked (%s): let no two processes do the same", path, error)
    return lock
