import contextlib
import math

try:
    math.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
with contextlib.nullcontext(1) as math.seen:
    pass
