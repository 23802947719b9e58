# kinds: stdin functional unittest
# Calls that lead out of a sandbox.
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
calls = {
    "ptrace": lambda: libc.ptrace(16, 1, 0, 0),
    "unshare": lambda: libc.unshare(0x10000000),
    "setns": lambda: libc.setns(0, 0),
    "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, 0),
    "umount": lambda: libc.umount2(b"/tmp", 2),
    "chroot": lambda: libc.chroot(b"/tmp"),
    "bpf": lambda: libc.syscall(321, 0, 0, 0),
    "userfaultfd": lambda: libc.syscall(323, 0),
    "io_uring_setup": lambda: libc.syscall(425, 1, 0),
    "keyctl": lambda: libc.syscall(250, 0, 0),
    "a call of the future": lambda: libc.syscall(1000),
    "x32": lambda: libc.syscall(0x40000000 + 39),
}
for name, call in calls.items():
    if call() != -1:
        raise SystemError(f"THROUGH: {name}")
