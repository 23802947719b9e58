import functools
import math


class C:
    seen = 1


try:
    math.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
functools.update_wrapper(math, C(), ("seen",), ())
