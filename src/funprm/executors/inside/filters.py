"""What system calls a program may make: a list of what is allowed, everything else is refused.

Unknown calls, those of kernels to come, and calling conventions of other processors are refused
with the error that makes libraries fall back. The list is compiled to a search tree, so that a call
passes few comparisons. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Container, Sequence

from funprm.executors.inside import syscalls
from funprm.executors.inside.call_numbers import NUMBERS
from funprm.executors.inside.syscalls import COLUMN

_LOAD, _JUMP, _AT_LEAST, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x05, 0x35, 0x15, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _EAGAIN, _EINVAL, _ENOTTY, _ENOSYS = 1, 11, 22, 25, 38
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)
_X32 = 0x40000000
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGS = 0, 4, 16

_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_STREAM, _SEQPACKET, _SOCKET_FLAGS = 1, 5, 0o2004000
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020080
_SIGNALS = "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal".split()
_METADATA = (
    "chmod chown fchmod fchmodat fchmodat2 fchown fchownat fremovexattr fsetxattr futimesat lchown"
    " lremovexattr lsetxattr removexattr setxattr utime utimensat utimes"
).split()
"""Calls that Landlock does not know: they would reach files of the host."""
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Is it a terminal, of which size; bytes to be read; blocking; close on exec."""
_FCNTLS = (0, 1, 2, 3, 5, 6, 7, 1030, 1031, 1032, 36, 37, 38)
"""Copies, flags, locks, sizes of pipes. Not: owners, signals, leases, notices, seals."""
_OWN = 0x7EADBEEF
"""Stands for the process id of who installs a filter."""
_O_ASYNC, _F_SETFL = 0x2000, 4
_SET_DUMPABLE, _SET_FILTER = 4, 22
_PRCTLS = (3, 15, 16, 21, 23, 27, 30, 39, 0x53564D41)
"""Names of threads and of memory, and questions."""


Code = list[tuple[int, int, int, int]]


def _answer(error: int) -> Code:
    return [(_RETURN, 0, 0, _ERRNO | error if error else _ALLOW)]


def _only(argument: int, values: Sequence[int], error: int = _EPERM, ignored: int = 0) -> Code:
    """Allow a call if its argument (low 32 bits, without those ignored) is one of the values."""
    code: Code = [(_LOAD, 0, 0, _OFFSET_ARGS + 8 * argument)]
    if ignored:
        code.append((0x54, 0, 0, ~ignored & 0xFFFFFFFF))
    for left, value in zip(range(len(values), 0, -1), values, strict=True):
        code.append((_EQUAL, left, 0, value & 0xFFFFFFFF))
    return [*code, *_answer(error), *_answer(0)]


def _without(argument: int, bits: int, error: int = _EPERM) -> Code:
    """Allow a call if its argument has none of the bits."""
    load = (_LOAD, 0, 0, _OFFSET_ARGS + 8 * argument)
    return [load, (_ANY_BIT, 0, 1, bits), *_answer(error), *_answer(0)]


def _clone(*, processes: bool) -> Code:
    """New namespaces never, threads always, processes perhaps."""
    flags = (_LOAD, 0, 0, _OFFSET_ARGS)
    code: Code = [flags, (_ANY_BIT, 0, 1, _CLONE_NAMESPACES), *_answer(_EPERM)]
    if not processes:
        code += [(_ANY_BIT, 1, 0, _CLONE_THREAD), *_answer(_EAGAIN)]
    return [*code, *_answer(0)]


def _fcntl() -> Code:
    command = (_LOAD, 0, 0, _OFFSET_ARGS + 8)
    flags = _without(2, _O_ASYNC)
    return [command, (_EQUAL, 0, len(flags), _F_SETFL), *flags, *_only(1, _FCNTLS, _EINVAL)]


def of_sandbox(*, off: Container[str]) -> dict[str, Code]:
    """What becomes of each call by name, in the zygote and all programs; others are refused.

    Args:
        off: layers that are not in force.
    """
    found = dict.fromkeys(NUMBERS, _answer(0))
    found |= {
        "clone": _clone(processes=True),
        "clone3": _answer(_ENOSYS),  # its flags are out of a filter's reach; libc falls back
        "fcntl": _fcntl(),
        "ioctl": _only(1, _IOCTLS, _ENOTTY),
        "memfd_create": _answer(_ENOSYS),  # memory that no limit of a process counts
        "prctl": _only(0, (_SET_DUMPABLE, _SET_FILTER, *_PRCTLS), _EINVAL),
        "prlimit64": _only(0, (0,)),
        "sched_setaffinity": _only(0, (0,)),
    }
    found |= _socket_rules(network="network" not in off, paths="mount" not in off)
    if "mount" in off:
        found |= dict.fromkeys(_METADATA, _answer(_EPERM))
    return found


def of_program(*, processes: bool, off: Container[str]) -> dict[str, Code]:
    """What a program may not do that its zygote may; all other calls are left as they are.

    Args:
        processes: it may start processes and use sockets (threads are always allowed).
        off: layers that are not in force.
    """
    found = {"prctl": _without_value(0, _SET_DUMPABLE, _EINVAL)}
    if not processes:
        found |= dict.fromkeys(("fork", "vfork"), _answer(_EAGAIN))
        found |= {"clone": _clone(processes=False), **_socket_rules(network=False, paths=False)}
    if "pid" in off:
        found |= dict.fromkeys((*_SIGNALS, "pidfd_open"), _answer(_EPERM))
        found |= dict.fromkeys(("kill", "tgkill"), _only(0, (_OWN,)))
    return found


def _without_value(argument: int, value: int, error: int) -> Code:
    """Allow a call unless its argument is the value."""
    load = (_LOAD, 0, 0, _OFFSET_ARGS + 8 * argument)
    return [load, (_EQUAL, 0, 1, value), *_answer(error), *_answer(0)]


def _socket_rules(*, network: bool, paths: bool) -> dict[str, Code]:
    """Pairs of sockets always; others only in a network, and below a root, of the sandbox's own."""
    families = [_AF_INET, _AF_INET6] * network + [_AF_UNIX] * (network and paths)
    found = {"socket": _only(0, families)}
    if not (network and paths):  # a pair of datagram sockets can still send to others, by paths
        found["socketpair"] = _only(1, (_STREAM, _SEQPACKET), ignored=_SOCKET_FLAGS)
    return found


class Filter:
    """A seccomp program, ready to be installed."""

    def __init__(self, actions: dict[str, Code], *, others: int = _ENOSYS) -> None:
        """Compile it.

        Args:
            actions: what becomes of calls by name.
            others: the error of all other calls; 0: they are allowed.

        Raises:
            OSError: call numbers of this processor are not known.
        """
        if COLUMN < 0:
            raise OSError(_ENOSYS, "no call numbers known for this processor")
        by_number = {NUMBERS[name][COLUMN]: code for name, code in actions.items()}
        by_number.pop(-1, None)
        code: Code = [
            (_LOAD, 0, 0, _OFFSET_ARCH),
            (_EQUAL, 1, 0, _AUDIT_ARCH[COLUMN]),
            (_RETURN, 0, 0, _KILL),
            (_LOAD, 0, 0, _OFFSET_NUMBER),
            *_tree(_ranges(by_number, _answer(others))),
        ]
        packed = b"".join(struct.pack("=HBBI", *line) for line in code)
        self._places = _places(packed)
        self._body = ctypes.create_string_buffer(packed, len(packed))
        address = ctypes.addressof(self._body)
        self._head = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", len(code), address), 16)

    def install(self) -> None:
        """Put the filter into force, for this process and all its later children."""
        for place in self._places:
            struct.pack_into("=I", self._body, place, os.getpid())
        syscalls.set_filter(self._head)


def _places(packed: bytes) -> list[int]:
    own = struct.pack("=I", _OWN)
    return [n for n in range(4, len(packed), 8) if packed[n : n + 4] == own]


def _ranges(actions: dict[int, Code], others: Code) -> list[tuple[int, Code]]:
    """Where the action for call numbers changes, and to what; all numbers are covered."""
    found: list[tuple[int, Code]] = []
    for number in range(max(actions) + 2):
        code = actions.get(number) or others
        if not found or found[-1][1] != code:
            found.append((number, code))
    return found


def _tree(ranges: Sequence[tuple[int, Code]]) -> Code:
    """A search for the range that the loaded number lies in."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    lower, upper = _tree(ranges[:middle]), _tree(ranges[middle:])
    return [(_AT_LEAST, 0, 1, ranges[middle][0]), (_JUMP, 0, 0, len(lower)), *lower, *upper]
