import math
from operator import methodcaller

try:
    math.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
methodcaller("__setattr__", "seen", 1)(math)
