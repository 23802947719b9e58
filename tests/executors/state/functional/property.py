class P:
    def _g(self, seen=[]):
        seen.append(1)
        return len(seen) - 1

    g = property(_g)
    del _g


def f(x):
    return P().g
