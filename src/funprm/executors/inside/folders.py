"""Where programs may write: made anew for each, unless the last one has not touched it.

Below a private root these are memory-backed file systems of their own, mounted by the watcher, who
shares the zygote's mounts but has not given up its rights. /tmp and /dev/shm are links to them:
Landlock knows what is below a folder, not what a folder will be covered with. Without a private
root it is a folder on the host.

What a program changes in a folder, the kernel notes in its time of change, which nobody can set. So
an old time of change proves that nothing was. Before Linux 6.13 it has a grain: there a folder that
was changed just before a program began proves nothing, and is made anew. Standard library only.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from funprm.executors.inside import cleanup, syscalls

_ROOT = "/scratch"
_LINKS = {"/tmp": "tmp", "/dev/shm": "shm"}
_KEPT = "/.interpreter"
_READ_ONLY = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
_GRAIN = 20_000_000
"""Nanoseconds that two changes must lie apart to have different times on any kernel."""
_TRIES = 32

State = tuple[int, int, int, int, int]


class Folders:
    """The folders of one sandbox.

    Attributes:
        host: an empty folder on the host, used where there is no private root.
        work: working folder of programs below a private root; empty when a program starts.
    """

    def __init__(self, host: str, megabytes: int, inside: list[str]) -> None:
        """Note what is wanted; nothing happens yet.

        Args:
            host: see there.
            megabytes: bound of all files of a program (private root only).
            inside: folders below /tmp that must stay visible (an interpreter), or links to such.
        """
        self.host = host
        self.work = f"{_ROOT}/work" if inside else "/tmp"
        self._owner = -1
        self._links = {path: os.readlink(path) for path in inside if os.path.islink(path)}
        self._kept = [path for path in inside if path not in self._links]
        shares = {"tmp": 0.75, "shm": 0.25}
        if inside:
            shares = {"work": 0.5, "tmp": 0.25, "shm": 0.25}
        self._mounts = {f"{_ROOT}/{n}": int(share * megabytes) for n, share in shares.items()}
        self._private = False
        self._made = 0
        self._seen: dict[str, State] = {}
        self._started = 0
        self._grain = _GRAIN

    # --- building the private root ---

    def place(self, path: str) -> str:
        """Where a folder of the host is to be shown, below the new root."""
        return f"{_KEPT}/{self._kept.index(path)}" if path in self._kept else path

    def prepare(self, base: str) -> int:
        """Make the places of the mounts; returns a descriptor of the folder that holds them."""
        for path in self._mounts:
            os.makedirs(base + path)
        for link, name in _LINKS.items():
            os.symlink(f"{_ROOT}/{name}", base + link)
        return os.open(base + _ROOT, os.O_PATH | os.O_CLOEXEC)

    # --- in the watcher ---

    def settle(self, *, private: bool, owner: int) -> None:
        """The sandbox stands; now programs may come.

        Args:
            private: it has a private root.
            owner: user id that a folder on the host must belong to; -1: that of this process.
        """
        self._private = private
        self._owner = owner
        if private:
            for path in self._mounts:
                self._mount(path)
        elif owner >= 0:
            os.chmod(self.host, 0o711)
        self._renew()
        if has_fine_times(self._path()):
            self._grain = 0
        self._renew()

    def fresh(self) -> str:
        """The working folder of the next program; there is no trace of any other in it."""
        young = any(state[0] > self._started - self._grain for state in self._seen.values())
        if young or self._states() != self._seen:
            self._renew()
        self._started = time.time_ns()
        return self._path()

    def close(self) -> None:
        """Remove what is on the host."""
        if not self._private:
            with suppress(OSError):
                self._remove_all()

    def _path(self) -> str:
        return self.work if self._private else f"{self.host}/{self._made}"

    def _states(self) -> dict[str, State]:
        paths = list(self._mounts) if self._private else [self.host, self._path()]
        return {path: _state(path) for path in paths}

    def _renew(self) -> None:
        if self._private:
            for path in self._mounts:
                syscalls.umount(path)
                self._mount(path)
        else:
            self._remove_all()
            self._made += 1
            os.mkdir(self._path(), 0o700)
            if self._owner >= 0:
                os.chown(self._path(), self._owner, self._owner)
        self._seen = self._states()

    def _mount(self, path: str) -> None:
        options = f"size={self._mounts[path]}m,nr_inodes=8192,mode=1777"
        # Without times of access, which would tell whether somebody has looked.
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOATIME
        syscalls.mount("tmpfs", path, "tmpfs", flags, options)
        if path == f"{_ROOT}/tmp":
            self._show_interpreter()

    def _show_interpreter(self) -> None:
        for path, target in self._links.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
        for path in self._kept:
            os.makedirs(path)
            syscalls.mount(self.place(path), path, None, syscalls.MS_BIND | syscalls.MS_REC)
            syscalls.restrict_tree(path, _READ_ONLY)

    def _remove_all(self) -> None:
        os.chmod(self.host, 0o700 if self._owner < 0 else 0o711)
        for name in os.listxattr(self.host):
            if name.startswith("user."):
                os.removexattr(self.host, name)
        for name in os.listdir(self.host):
            path = f"{self.host}/{name}"
            if os.path.isdir(path) and not os.path.islink(path):
                cleanup.remove(path)
            else:
                os.unlink(path)


def _state(path: str) -> State:
    """What cannot stay the same if the folder was changed; the time of change first."""
    found = os.lstat(path)
    return (found.st_ctime_ns, found.st_mtime_ns, found.st_mode, found.st_uid, found.st_ino)


def has_fine_times(path: str) -> bool:
    """Whether every change of a folder has a time of its own, once the last one was read.

    Many changes within one tick of a clock tell. Their number makes it certain: a kernel without
    such times would have to be interrupted for a tick after every single one.
    """
    times = []
    for _ in range(_TRIES):
        os.chmod(path, os.lstat(path).st_mode)
        times.append(os.lstat(path).st_ctime_ns)
    return len(set(times)) == _TRIES
