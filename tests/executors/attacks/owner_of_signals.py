# kinds: stdin functional unittest
# F_SETOWN, F_SETSIG and O_ASYNC make the kernel send any signal to any process.
import fcntl
import os
import time

reading, writing = os.pipe()
try:
    fcntl.fcntl(reading, 10, 9)
    fcntl.fcntl(reading, fcntl.F_SETOWN, VICTIM)
    fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)
    os.write(writing, b"x")
    time.sleep(0.1)
except OSError:
    pass
