import random

try:
    random._inst.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
random._inst.seen = 1
