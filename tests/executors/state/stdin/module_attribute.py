import math

try:
    math.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
math.seen = 1
