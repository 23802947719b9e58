def numbers():
    n = 0
    while True:
        yield n
        n += 1


g = numbers()


def f(x):
    return next(g)
