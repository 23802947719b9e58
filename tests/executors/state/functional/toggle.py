n = 0


def f(x):
    global n
    n = 1 - n
    return 1 - n
