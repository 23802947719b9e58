# kinds: stdin functional unittest
# Leaves folders that others can neither read nor write.
import os

for path in (".", "/dev/shm"):
    if os.path.realpath(path).startswith(("/scratch", "/tmp")):
        for mode in (0o555, 0):
            try:
                os.chmod(path, mode)
            except OSError:
                pass
