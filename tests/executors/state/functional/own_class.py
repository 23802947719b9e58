class C:
    pass


def f(x):
    try:
        C.n
    except AttributeError:
        C.n = 1
        return 0
    return 1
