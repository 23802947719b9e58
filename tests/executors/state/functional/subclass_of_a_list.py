class L(list):
    pass


kept = L()


def f(x):
    kept.append(x)
    return len(kept) - 1
