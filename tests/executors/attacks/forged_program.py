# kinds: stdin functional
# A compiled program that is none, for the processes of later cases.
import os
import struct

os.write(3, struct.pack("<cIII", b"c", 0, 0, 4) + b"zzzz")
os.write(3, struct.pack("<cIII", b"a", 0, 0, 0))
os._exit(0)
