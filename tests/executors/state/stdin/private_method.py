import math
from enum import IntEnum

try:
    math.SEEN
except AttributeError:
    print("fresh")
else:
    print("seen")


class Own(IntEnum):
    SEEN = 1


Own._convert_("X", "math", lambda name: False)
math.SEEN = 1
