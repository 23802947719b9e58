# kinds: stdin functional unittest
# Locks and flags of the null device, which all programs use.
import fcntl
import os

if fcntl.fcntl(2, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND):
    raise SystemError("THROUGH: flags of a neighbour's stream")
for fd in (0, 1, 2):
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass
for what in (lambda: os.chmod("/dev/null", 0), lambda: os.setxattr("/dev/null", "user.x", b"")):
    try:
        what()
    except OSError:
        continue
    raise SystemError("THROUGH: the null device was changed")
