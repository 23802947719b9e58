# kinds: check
# An answer without bounds.
import itertools


def f(x):
    return {1: [[]] * (1 << 24), 2: "x" * (80 << 20)}.get(x, itertools.count())
