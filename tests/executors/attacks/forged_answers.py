# kinds: stdin functional
# All kinds of records, in any order, and an early end.
import os
import struct

for letter in b"oqemExacpl":
    for text in (b"", b"true", b"[[[" * 1000, b"\xff" * 100):
        os.write(3, struct.pack("<cIII", bytes([letter]), 1, 1, len(text)) + text)
os._exit(0)
