# kinds: unittest
# /proc shows no memory of a process whose first thread has ended: 5 times 200 MiB, 256 allowed.
import ctypes
import os
import threading
import time

start = time.monotonic()


def hog():
    time.sleep(0.2)
    kept = bytearray(b"x") * (200 << 20)
    while time.monotonic() - start < 2.5:
        time.sleep(0.1)
    open(f"/dev/shm/done{os.getpid()}" if os.path.isdir("/dev/shm") else "done", "w").close()
    os._exit(len(kept) & 0)


for _ in range(5):
    if os.fork() == 0:
        threading.Thread(target=hog).start()
        time.sleep(0.01)
        ctypes.CDLL(None).syscall({"x86_64": 60}.get(os.uname().machine, 93), 0)
time.sleep(3.5)
raise SystemError("THROUGH: 1000 MiB at once")
