import math


def f(x):
    try:
        math.n
    except AttributeError:
        math.n = 1
        return 0
    return 1
