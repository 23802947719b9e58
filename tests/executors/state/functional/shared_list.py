def make():
    kept = []
    return kept.append, kept.__len__


add, size = make()


def f(x):
    seen = size()
    add(1)
    return seen
