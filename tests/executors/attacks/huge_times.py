# kinds: stdin functional check unittest
# Times that no clock shows, sizes that no record has, numbers of hundreds of digits.
import os
import struct

for record in (
    b"o0:" + b"9" * 400 + b" 1\n",
    struct.pack("<cIII", b"o", 2**32 - 1, 2**32 - 1, 1) + b"1",
    struct.pack("<cIII", b"o", 0, 0, 2**32 - 1),
):
    os.write(3, record)
os._exit(0)
