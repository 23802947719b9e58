# kinds: functional
# A flood of answers, more than there are cases.
import os
import struct


def f(x):
    for _ in range(100_000):
        os.write(3, struct.pack("<cIII", b"o", 0, 0, 1) + b"0")
