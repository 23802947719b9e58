"""Linux calls that Python does not wrap: namespaces, mounts, capabilities, Landlock, seccomp.

Standard library only: this file also runs inside the worker, before the funprm package is out of
reach. Constants are those of the kernel's user-space headers.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import os
import platform
import socket
import stat
import struct
from collections.abc import Callable, Iterable

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_THREAD = 0x00010000
CLONE_NAMESPACES = 0x7E020080

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

_libc = ctypes.CDLL(None, use_errno=True)
_COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine(), -1)
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)

# Numbers of the calls that we make or refuse: (x86_64, aarch64); -1 where there is no such call.
_NUMBERS = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fork": (57, -1),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vfork": (58, -1),
    "vhangup": (153, 58),
}


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _syscall(name: str, *args: object) -> int:
    if _COLUMN < 0:
        raise OSError(38, f"{name}: no call numbers known for {platform.machine()}")
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return _check(_libc.syscall(ctypes.c_long(_NUMBERS[name][_COLUMN]), *wide), name)


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


# --- seccomp --------------------------------------------------------------------------------

_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _EAGAIN, _ENOSYS = 1, 11, 38
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGS = 0, 4, 16

_REFUSED = (
    "acct add_key bpf chroot clock_settime delete_module fanotify_init finit_module fsconfig"
    " fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup"
    " ioprio_set kcmp kexec_file_load kexec_load keyctl landlock_add_rule"
    " landlock_create_ruleset landlock_restrict_self lookup_dcookie memfd_secret migrate_pages"
    " mount mount_setattr move_mount move_pages mq_open msgget name_to_handle_at"
    " open_by_handle_at open_tree perf_event_open personality pidfd_getfd pivot_root"
    " process_madvise process_mrelease process_vm_readv process_vm_writev ptrace quotactl"
    " quotactl_fd reboot request_key sched_setattr sched_setparam sched_setscheduler semget"
    " setdomainname sethostname setns setpriority settimeofday shmget swapoff swapon syslog"
    " umount2 unshare userfaultfd vhangup"
).split()
_SIGNALS = "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal".split()


class Filter:
    """A seccomp program: calls refused by number and arguments, all others allowed.

    Rules are straight-line code: each jumps over its own `return` where it does not apply.
    """

    def __init__(self) -> None:
        """A filter that refuses foreign calling conventions and nothing else.

        Raises:
            OSError: call numbers of this processor are not known.
        """
        if _COLUMN < 0:
            raise OSError(38, f"no call numbers known for {platform.machine()}")
        self._code: list[tuple[int, int, int, int]] = []
        self._emit(_LOAD, _OFFSET_ARCH)
        self._emit(_JUMP_EQUAL, _AUDIT_ARCH[_COLUMN], 1, 0)
        self._emit(_RETURN, _KILL)
        self._emit(_LOAD, _OFFSET_NUMBER)
        if _COLUMN == 0:  # the x32 convention of x86-64
            self._emit(_JUMP_ANY_BIT, 0x40000000, 0, 1)
            self._emit(_RETURN, _ERRNO | _ENOSYS)

    def _emit(self, code: int, operand: int, true: int = 0, false: int = 0) -> None:
        self._code.append((code, true, false, operand))

    def refuse(self, name: str, error: int = _EPERM) -> None:
        """Refuse a call whatever its arguments."""
        number = _NUMBERS[name][_COLUMN]
        if number >= 0:
            self._emit(_JUMP_EQUAL, number, 0, 1)
            self._emit(_RETURN, _ERRNO | error)

    def refuse_if(
        self, name: str, argument: int, bits: int, *, any_bit: bool, error: int = _EPERM
    ) -> None:
        """Refuse a call if its argument has any of the bits, or (not any_bit) none of them."""
        number = _NUMBERS[name][_COLUMN]
        if number < 0:
            return
        self._emit(_JUMP_EQUAL, number, 0, 4)
        self._emit(_LOAD, _OFFSET_ARGS + 8 * argument)
        self._emit(_JUMP_ANY_BIT, bits, *((0, 1) if any_bit else (1, 0)))
        self._emit(_RETURN, _ERRNO | error)
        self._emit(_LOAD, _OFFSET_NUMBER)

    def refuse_unless(self, name: str, argument: int, *values: int) -> None:
        """Refuse a call if its argument (low 32 bits) is none of the values."""
        number = _NUMBERS[name][_COLUMN]
        if number < 0:
            return
        self._emit(_JUMP_EQUAL, number, 0, len(values) + 3)
        self._emit(_LOAD, _OFFSET_ARGS + 8 * argument)
        for left, value in zip(range(len(values), 0, -1), values, strict=True):
            self._emit(_JUMP_EQUAL, value & 0xFFFFFFFF, left, 0)
        self._emit(_RETURN, _ERRNO | _EPERM)
        self._emit(_LOAD, _OFFSET_NUMBER)

    def installer(self) -> Callable[[], object]:
        """A function that puts the filter into force, for its process and all later children."""
        code = [*self._code, (_RETURN, 0, 0, _ALLOW)]
        packed = b"".join(struct.pack("=HBBI", *line) for line in code)
        body = ctypes.create_string_buffer(packed, len(packed))
        header = ctypes.create_string_buffer(
            struct.pack("=HxxxxxxQ", len(code), ctypes.addressof(body)), 16
        )
        # All is converted beforehand: this is called once per program.
        call = functools.partial(
            _libc.prctl, PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.c_ulong(ctypes.addressof(header))
        )

        def install(keep: object = (body, header)) -> None:
            _check(call(), "seccomp")

        return install

    def install(self) -> None:
        """Put the filter into force."""
        self.installer()()


def worker_filter(*, sockets: bool) -> Filter:
    """What neither a worker nor a program ever needs.

    Args:
        sockets: allow Unix and internet sockets (where the network namespace is private).
    """
    rules = Filter()
    for name in _REFUSED:
        rules.refuse(name)
    rules.refuse("clone3", _ENOSYS)  # its flags are out of a filter's reach; libc falls back
    rules.refuse_if("clone", 0, CLONE_NAMESPACES, any_bit=True)
    rules.refuse_unless("prlimit64", 0, 0)
    rules.refuse_unless("sched_setaffinity", 0, 0)
    if sockets:
        rules.refuse_unless("socket", 0, _AF_UNIX, _AF_INET, _AF_INET6)
    else:
        rules.refuse("socket")
    return rules


def program_filter(*, processes: bool, off: object) -> Filter:
    """What one program may not do.

    Args:
        processes: it may start processes and use sockets (threads are always allowed).
        off: layers that are not in force.
    """
    only_pid = 0
    rules = Filter()
    rules.refuse("memfd_create", _ENOSYS)  # memory that no limit of a process counts
    if not processes:
        rules.refuse("fork", _EAGAIN)
        rules.refuse("vfork", _EAGAIN)
        rules.refuse_if("clone", 0, CLONE_THREAD, any_bit=False, error=_EAGAIN)
        rules.refuse_unless("socket", 0, _AF_UNIX)
    if only_pid:
        for name in _SIGNALS:
            rules.refuse_unless(name, 0, only_pid)
    return rules
