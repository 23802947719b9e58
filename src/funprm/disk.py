"""Files written at once, digests of files, and what the operating system refuses in one line."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from funprm.errors import StoreError


@contextmanager
def disk_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn the operating system's refusals into one line for the user.

    Args:
        path: what is worked on.
        doing: what is done to it.

    Raises:
        StoreError: the operating system refuses.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = (
                f"no space left while writing {path}: free some space and run the same command "
                "again; what was stored is kept"
            )
        else:
            message = f"cannot {doing} {path}: {error.strerror or error}"
        raise StoreError(message) from error


def digest_of(path: Path) -> str:
    """Digest of a file's content, 32 hex digits; empty where there is no such file.

    Raises:
        StoreError: it is no file that can be read.
    """
    if not path.exists():
        return ""
    with disk_errors(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, _blake2b).hexdigest()


def _blake2b() -> Any:  # noqa: ANN401  (the type of hash objects has no public name)
    return hashlib.blake2b(digest_size=16)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write; it takes the place of `path` at once, if the block ends well.

    Raises:
        StoreError: no space left, or the place is not writable.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with disk_errors(path):
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
