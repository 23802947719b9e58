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
    known = {3: "pipe", 4: "suite"}.get(fd, "nothing")
    if kind != "unknown" or fd > 4:
        if known in kind:
            continue
        if not kind.startswith("/proc/"):
            raise SystemError(f"THROUGH: descriptor {fd} is {kind}")
