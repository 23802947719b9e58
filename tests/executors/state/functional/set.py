s = set()


def f(x):
    s.add(x)
    return len(s) - 1
