def g():
    pass


def f(x):
    try:
        g.n
    except AttributeError:
        g.n = 1
        return 0
    return 1
