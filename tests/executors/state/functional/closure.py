def make():
    n = 0

    def f(x):
        nonlocal n
        n += 1
        return n - 1

    return f


f = make()
