# kinds: check
# Changes every argument, and what it returned before.
KEPT = []


def f(x):
    KEPT.append([x])
    for kept in KEPT:
        kept[:] = [42, 17, 99]
    return KEPT[-1]
