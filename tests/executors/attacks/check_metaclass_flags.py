# kinds: check
# A metaclass lies about __flags__.
class M(type):
    __flags__ = 0


class E(metaclass=M):
    def __eq__(self, other):
        return True


def f(x):
    return E()
