# kinds: stdin functional unittest
# The kernel's name of the process is no text.
import ctypes
import time

ctypes.CDLL(None).prctl(15, b"\xff\xfe) R 1 \n 9")
time.sleep(1)
