import sys


def f(x):
    seen = sys.getrecursionlimit() == 49000
    sys.setrecursionlimit(49000)
    return int(seen)
