# kinds: stdin functional
# Records that are well formed but no answers, so that something always comes.
import os
import struct

while True:
    os.write(3, struct.pack("<cIII", b"a", 0, 0, 0))
