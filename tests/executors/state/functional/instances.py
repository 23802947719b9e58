class C:
    pass


d = {}


def f(x):
    seen = len(d)
    d[x] = C()
    return seen
