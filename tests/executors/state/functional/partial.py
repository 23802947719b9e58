import functools

seen = []
g = functools.partial(seen.append)
del seen


def f(x):
    n = len(g.func.__self__)
    g(1)
    return n
