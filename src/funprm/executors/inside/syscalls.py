"""Linux calls that Python does not wrap: namespaces, mounts, capabilities, Landlock, seccomp.

Standard library only: this file also runs inside the worker, before the funprm package is out of
reach. Constants are those of the kernel's user-space headers.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import stat
import struct
from collections.abc import Iterable

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 1, 2, 4, 8, 1024
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

_libc = ctypes.CDLL(None, use_errno=True)
COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine(), -1)

# Numbers of the calls that Python does not wrap: (x86_64, aarch64).
_NUMBERS = {
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
}


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _syscall(name: str, *args: object) -> int:
    if COLUMN < 0:
        raise OSError(38, f"{name}: no call numbers known for {platform.machine()}")
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return _check(_libc.syscall(ctypes.c_long(_NUMBERS[name][COLUMN]), *wide), name)


def set_filter(program: ctypes.Array[ctypes.c_char]) -> None:
    """Install a seccomp program, for this process and all its later children.

    Args:
        program: a `sock_fprog`.
    """
    _check(_libc.prctl(22, ctypes.c_ulong(2), program), "seccomp")


def prctl(option: int, *args: int) -> int:
    """`prctl(2)` with unused arguments zero."""
    filled = [ctypes.c_ulong(a) for a in (*args, 0, 0, 0, 0)[:4]]
    return _check(_libc.prctl(option, *filled), f"prctl({option})")


def unshare(flags: int) -> None:
    """Leave the namespaces named by the CLONE_NEW* flags."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """`mount(2)`."""
    arguments = [source.encode(), target.encode(), kind.encode() if kind else None]
    _check(
        _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() if data else None),
        f"mount {target}",
    )


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """`umount2(2)`."""
    _check(_libc.umount2(target.encode(), flags), f"umount {target}")


def restrict_tree(target: str, attributes: int) -> None:
    """Give a mount and all below it attributes: MS_RDONLY, MS_NOSUID, MS_NODEV."""
    packed = struct.pack("=QQQQ", attributes, 0, 0, 0)
    buffer = ctypes.create_string_buffer(packed, 32)
    at_recursive = 0x8000
    _syscall("mount_setattr", -1, ctypes.c_char_p(target.encode()), at_recursive, buffer, 32)


def pivot_root(root: str) -> None:
    """Make `root` the root folder and forget the old one."""
    os.chdir(root)
    _syscall("pivot_root", ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    umount(".")
    os.chdir("/")


def raise_loopback() -> None:
    """Switch on the loopback device of a fresh network namespace, and keep no dead connections.

    Else the ports of one program would still be taken when the next one runs.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up_and_running = struct.pack("16sH14x", b"lo", 0x1 | 0x40)
        fcntl.ioctl(any_socket, 0x8914, up_and_running)  # SIOCSIFFLAGS
    with open("/proc/sys/net/ipv4/tcp_max_tw_buckets", "w") as setting:
        setting.write("0")


def drop_capabilities() -> None:
    """Give up all capabilities, for this process and every later one."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break
    try:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    except OSError:
        pass
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    empty = ctypes.create_string_buffer(24)
    _check(_libc.capset(header, empty), "capset")


# --- Landlock -------------------------------------------------------------------------------

_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read file, read dir
_FILE_ONLY = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def landlock_abi() -> int:
    """Version of Landlock that the kernel offers.

    Raises:
        OSError: there is none.
    """
    return _syscall("landlock_create_ruleset", 0, 0, 1)


def landlock_restrict(
    readable: Iterable[str | int], writable: Iterable[str | int], *, tcp: bool
) -> int:
    """Allow no files but these, and no signals or abstract sockets to the outside.

    Args:
        readable: files and folders that may be read and executed: paths, or open descriptors.
        writable: files and folders that may be read and written.
        tcp: allow TCP.

    Returns:
        The Landlock version in use: from 4 on TCP is refused, from 6 on signals.
    """
    abi = landlock_abi()
    files = (1 << _RIGHTS_OF_ABI.get(abi, 16)) - 1
    network = 3 if abi >= 4 and not tcp else 0
    scope = 3 if abi >= 6 else 0
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", files, network, scope), 24)
    ruleset = _syscall("landlock_create_ruleset", attributes, size, 0)
    try:
        for path in readable:
            _allow(ruleset, path, files & _READ)
        for path in writable:
            _allow(ruleset, path, files & ~1)
        _syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return abi


def _allow(ruleset: int, path: str | int, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC) if isinstance(path, str) else path
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        rights &= _FILE_ONLY
    try:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, fd), 12)
        _syscall("landlock_add_rule", ruleset, 1, rule, 0)
    finally:
        os.close(fd)
