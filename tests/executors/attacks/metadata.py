# kinds: stdin functional unittest
# Mode, times, owner and attributes of a file of the host (a decoy).
import os

for change in (
    lambda: os.chmod("TARGET", 0),
    lambda: os.utime("TARGET", (1, 1)),
    lambda: os.chown("TARGET", 65534, 65534),
    lambda: os.setxattr("TARGET", "user.x", b"1"),
    lambda: os.truncate("TARGET", 0),
    lambda: os.rename("TARGET", "TARGET.moved"),
    lambda: os.unlink("TARGET"),
):
    try:
        change()
    except OSError:
        pass
