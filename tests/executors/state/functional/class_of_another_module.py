class C:
    __module__ = "re"
    n = []


def f(x):
    C.n.append(x)
    return len(C.n) - 1
