# kinds: stdin functional unittest
# Descriptors that others have opened: the zygote's link, a suite's inputs, a neighbour's program.
import os

for fd in range(3, 1024):
    try:
        kind = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        try:
            os.fstat(fd)
        except OSError:
            continue
        kind = "unknown"
    if fd > 4 or (fd == 4 and "suite" not in kind) or (fd == 3 and "pipe" not in kind):
        if not kind.startswith("/proc/"):
            raise SystemError(f"THROUGH: descriptor {fd} is {kind}")
