import functools

cached = functools.lru_cache(None)(lambda: {})


def f(x):
    seen = len(cached())
    cached()[x] = 1
    return seen
