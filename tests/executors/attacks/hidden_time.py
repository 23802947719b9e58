# kinds: unittest
# Grandchildren that end and are collected by an idle child.
import os
import time


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


if os.fork() == 0:
    for _ in range(20):
        child = os.fork()
        if child == 0:
            burn(0.2)
            os._exit(0)
        os.waitpid(child, 0)
    open("burnt", "w").close()
    time.sleep(100)
while not os.path.exists("burnt"):
    time.sleep(0.05)
raise SystemError("THROUGH: 4 seconds where 0.5 are allowed")
