"""Scratch folders of workers on the host, and those that killed hosts have left.

A folder is locked as long as its process lives; the kernel drops the lock however that ends. So a
folder that can be locked belongs to nobody.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from funprm.executors.inside.isolation import FIRST_UID

PREFIX = "funprm-judge-"
_YOUNG = 60.0
"""Seconds for which a folder may not be locked yet."""


class Scratch:
    """One folder, until `remove`."""

    def __init__(self) -> None:
        """Make and lock it."""
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        """Delete it with all that is in it; more than once does no harm."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def sweep() -> int:
    """Delete the folders that processes of this user left when they were killed.

    Returns:
        How many were deleted.
    """
    return sum(map(_swept, Path(tempfile.gettempdir()).glob(f"{PREFIX}*")))


def _swept(path: Path) -> bool:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if not _is_ours(os.fstat(folder)):
            return False
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    except OSError:
        return False
    finally:
        os.close(folder)
    return True


def _is_ours(status: os.stat_result) -> bool:
    """An old folder of this user; root's may belong to the user id of a sandbox."""
    own = status.st_uid == os.geteuid() or (os.geteuid() == 0 and status.st_uid >= FIRST_UID)
    return own and stat.S_ISDIR(status.st_mode) and time.time() - status.st_mtime > _YOUNG
