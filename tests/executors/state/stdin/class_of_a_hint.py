from typing import List

kind = type(List[int])
try:
    kind.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
kind.seen = 1
