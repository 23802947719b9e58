from abc import ABC

kind = type(ABC)
try:
    kind.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
kind.seen = 1
