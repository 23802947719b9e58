"""Layers that keep an untrusted program away from everything else.

Runs inside a worker, before anything of any program is there: `enter` (in the watcher) leaves the
host's namespaces, `confine` (in the zygote, the new process 1) builds a private root folder and
gives up all rights for good. A layer that the machine forbids, or that is switched off, is left
out and its reason recorded; the rest still holds. Standard library and its neighbours only.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

from funprm.executors.inside import filters, syscalls
from funprm.executors.inside.folders import Folders

LAYERS = ("user", "mount", "pid", "network", "ipc", "landlock", "seccomp", "limits")
"""Names of the layers that can be demanded, or switched off one by one."""

_NAMESPACES = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "network": syscalls.CLONE_NEWNET,
    "ipc": syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS,
}
_SYSTEM = (
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/bin",
    "/bin",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/alternatives",
)
_DEVICES = ("null", "zero", "full", "random", "urandom")
FIRST_UID = 2_000_000_000
"""Smallest user id that programs get where root judges."""
_NOBODY = 65534
_MAX_TASKS = 64
_MAX_FILES = 256
_FILE_MB = 64
_STACK = 120 << 20  # below the gap that every kernel leaves under the stack


class Isolation:
    """The layers of one worker, from the first call to the last.

    Attributes:
        off: layer to reason, for layers that are not in force.
        folders: where programs may write.
        sweeps: `kill(-1)` reaches the processes of this sandbox and no others.
    """

    def __init__(self, disable: list[str], scratch: str, scratch_mb: int) -> None:
        """Note what is wanted; nothing happens yet.

        Args:
            disable: names of layers to leave out.
            scratch: empty folder on the host, used where there is no private root.
            scratch_mb: bound of all files of a program in mebibytes (private root only).
        """
        self.off = {name: "switched off" for name in disable}
        self.sweeps = False
        self._scratch = -1
        self._root = os.geteuid() == 0
        self._uid = os.geteuid()
        self._readable = _existing([*_interpreter_folders(), *_SYSTEM])
        self._shown = _with_links(self._readable)
        hidden = [p for p in self._shown if p.startswith("/tmp/")]
        self.folders = Folders(scratch, scratch_mb, hidden)
        self._landlock = 0

    # --- stage 1: in the worker's first process ---

    def enter(self) -> None:
        """Leave the host's namespaces as far as it is allowed."""
        if self._root:
            self._uid = FIRST_UID + os.getpid()
            self._leave_namespaces()
            if "EPERM" not in self.off.get("mount", ""):
                return
            if "user" in self.off or not self._become(self._uid):
                return
            self._root = False
            for name in _NAMESPACES:  # root of a container: try again as anybody would
                if "EPERM" in self.off.get(name, ""):
                    del self.off[name]
        self._enter_user_namespace()

    def _leave_namespaces(self) -> None:
        for name, flag in _NAMESPACES.items():
            if name not in self.off:
                with _noting(self.off, name):
                    syscalls.unshare(flag)

    def _enter_user_namespace(self) -> None:
        uid, gid = os.geteuid(), os.getegid()
        if "user" not in self.off:
            with _noting(self.off, "user"):
                syscalls.unshare(syscalls.CLONE_NEWUSER)
                _write("/proc/self/setgroups", "deny")
                _write("/proc/self/uid_map", f"{uid} {uid} 1")
                _write("/proc/self/gid_map", f"{gid} {gid} 1")
        if "user" not in self.off:
            self._leave_namespaces()
            return
        for name in _NAMESPACES:
            self.off.setdefault(name, "needs the user layer, or root")

    def settle(self, off: dict[str, str], uid: int) -> None:
        """The zygote is confined: make the first scratch folders.

        Args:
            off: layers that are not in force, as it found them.
            uid: its user id.
        """
        self.folders.settle(private="mount" not in off, owner=uid if uid != os.geteuid() else -1)

    # --- stage 2: in the zygote ---

    def confine(self) -> None:
        """Build the private root, give up rights, install Landlock and seccomp."""
        there = [p for p in sys.path if p and os.path.exists(p)]
        if "network" not in self.off:
            with suppress(OSError):
                syscalls.raise_loopback()
        if "mount" not in self.off:
            with _noting(self.off, "mount"):
                self._build_root()
        # An interpreter below /tmp is there again once programs have one (see `folders`).
        sys.path[:] = [p for p in there if os.path.exists(p) or _is_in(p, self._shown)]
        if "limits" not in self.off:
            _limit(private_uid=self._root or "user" not in self.off)
        self._give_up_rights()
        with suppress(OSError):
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        self._restrict_files()
        if "seccomp" not in self.off:
            with _noting(self.off, "seccomp"):
                filters.Filter(filters.of_sandbox(off=self.off)).install()
        private_uid = self._root and "user" not in self.off
        self.sweeps = "pid" not in self.off or private_uid or self._landlock >= 6

    def _give_up_rights(self) -> None:
        if self._root and "user" not in self.off and "mount" in self.off:
            hidden = [p for p in self._readable if not _open_to_all(p)]
            if hidden:
                self.off["user"] = f"only root may read {hidden[0]}, and there is no private root"
        if self._root and "user" not in self.off:
            if not self._become(self._uid) and not self._become(_NOBODY):
                self.off["user"] = "changing the user id is not permitted"
        with suppress(OSError):
            syscalls.drop_capabilities()
        with suppress(OSError):
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)

    def _become(self, uid: int) -> bool:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        except OSError:
            return False
        # A change of user clears both of these.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        return True

    def _restrict_files(self) -> None:
        if "landlock" in self.off:
            return
        private = "mount" not in self.off
        readable = ["/"] if private else self._readable
        writable: list[str | int] = [f"/dev/{name}" for name in _DEVICES]
        writable.append(self._scratch if private else self.folders.host)
        with _noting(self.off, "landlock"):
            self._landlock = syscalls.landlock_restrict(
                readable, writable, tcp="network" not in self.off
            )

    def _build_root(self) -> None:
        """A root folder that holds the interpreter, read-only, and places for scratch folders."""
        base = next(d for d in ("/tmp", "/var/tmp", "/mnt", "/run") if os.path.isdir(d))
        shown = [p for p in self._shown if not (p.startswith("/tmp/") and os.path.islink(p))]
        sources = [(path, os.open(path, os.O_PATH)) for path in shown]
        devices = [(f"/dev/{n}", os.open(f"/dev/{n}", os.O_PATH)) for n in _DEVICES]
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("tmpfs", base, "tmpfs", flags, "size=4m,mode=755")
        for path, fd in sources:
            if os.path.islink(path):
                _link(base, path)
            else:
                _bind(base + self.folders.place(path), fd, syscalls.MS_RDONLY | flags)
            os.close(fd)
        for path, fd in devices:
            _bind(base + path, fd, syscalls.MS_RDONLY | syscalls.MS_NOSUID)
            os.close(fd)
        os.environ["HOME"] = os.environ["TMPDIR"] = self.folders.work
        self._write_etc(base)
        os.makedirs(f"{base}/proc")
        if "pid" not in self.off:
            with suppress(OSError):  # a container may mask its /proc; then there is none
                syscalls.mount("proc", f"{base}/proc", "proc", flags | syscalls.MS_NOEXEC)
        self._scratch = self.folders.prepare(base)
        remount = 32 | syscalls.MS_BIND | syscalls.MS_RDONLY | flags
        syscalls.mount("none", base, None, remount)
        syscalls.pivot_root(base)

    def _write_etc(self, base: str) -> None:
        uid, home = self._uid, self.folders.work
        os.makedirs(f"{base}/etc", exist_ok=True)
        _write(f"{base}/etc/passwd", f"program:x:{uid}:{uid}:program:{home}:/bin/sh\n")
        _write(f"{base}/etc/group", f"program:x:{uid}:\n")
        _write(f"{base}/etc/hosts", "127.0.0.1 localhost\n")
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            os.symlink(f"/proc/self/fd/{number}", f"{base}/dev/{name}")
        os.symlink("/proc/self/fd", f"{base}/dev/fd")


class _noting:  # noqa: N801  (used like a function)
    """Record an OSError of the block as the reason why a layer is off."""

    def __init__(self, off: dict[str, str], layer: str) -> None:
        self._off = off
        self._layer = layer

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, OSError):
            return False
        name = "EPERM: " if error.errno == 1 else ""
        self._off[self._layer] = f"{name}{error.strerror or error}"
        return True


def _limit(*, private_uid: bool) -> None:
    """Limits that hold for the zygote and every program alike."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_NOFILE, _MAX_FILES)
    _lower(resource.RLIMIT_STACK, _STACK)
    _lower(resource.RLIMIT_FSIZE, _FILE_MB << 20)
    _lower(resource.RLIMIT_MEMLOCK, 1 << 20)
    _lower(resource.RLIMIT_MSGQUEUE, 0)
    if private_uid:  # the limit counts all processes of a user, wherever they run
        _lower(resource.RLIMIT_NPROC, _MAX_TASKS)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _interpreter_folders() -> list[str]:
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    prefixes |= {os.path.realpath(p) for p in prefixes}
    return ["/usr" if p == "/" else p for p in sorted(prefixes)]


def _existing(paths: list[str]) -> list[str]:
    """Those that exist, without those that lie inside another one."""
    found = [p for p in dict.fromkeys(paths) if os.path.exists(p)]
    return [p for p in found if not any(p != q and p.startswith(q + "/") for q in found)]


def _is_in(path: str, folders: list[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def _with_links(paths: list[str]) -> list[str]:
    """The paths, those that are links followed by what they point to."""
    real = [os.path.realpath(p) for p in paths if os.path.islink(p)]
    return _existing([*paths, *real])


def _open_to_all(path: str) -> bool:
    """Anybody may enter the folder."""
    while path != "/":
        if not os.stat(path).st_mode & 0o001 and os.path.isdir(path):
            return False
        path = os.path.dirname(path)
    return True


def _link(base: str, path: str) -> None:
    """Show a link below the new root."""
    os.makedirs(os.path.dirname(base + path), exist_ok=True)
    os.symlink(os.readlink(path), base + path)


def _bind(target: str, fd: int, attributes: int) -> None:
    """Show what `fd` is open on as `target`, with attributes of mounts."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(f"/proc/self/fd/{fd}"):
        os.makedirs(target, exist_ok=True)
    else:
        _write(target, "")
    flags = syscalls.MS_BIND | syscalls.MS_REC
    syscalls.mount(f"/proc/self/fd/{fd}", target, None, flags)
    syscalls.restrict_tree(target, attributes)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
