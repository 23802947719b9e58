# kinds: unittest
# A process that leaves its parents, its session and its standard streams.
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(4):
            os.close(fd)
        while True:
            time.sleep(1)
    os._exit(0)
