class M(type):
    kept = []


class C(metaclass=M):
    pass


def f(x):
    C.kept.append(x)
    return len(C.kept) - 1
