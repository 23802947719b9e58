import functools


@functools.lru_cache(None)
def g():
    return []


def f(x):
    seen = len(g())
    g().append(1)
    return seen
