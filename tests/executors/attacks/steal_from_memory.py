# kinds: stdin functional unittest
# Looks for another program's source, or its inputs, in all of its memory, and says so.
import ctypes
import re

for line in open("/proc/self/maps"):
    place = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
    if place and "[v" not in line:
        start, end = int(place[1], 16), int(place[2], 16)
        if end - start < 1 << 26:
            found = re.search(
                rb"secret-of-a-neighbour-[0-9]+", ctypes.string_at(start, end - start)
            )
            if found:
                raise SystemError(f"THROUGH: {found[0]} is in memory")
