n = [0]


def f(x):
    n[0] = 1 - n[0]
    return 1 - n[0]
