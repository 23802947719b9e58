# kinds: check
# A partial of a class whose instances equal everything.
import functools


class E:
    def __init__(self, *args):
        pass

    def __eq__(self, other):
        return True

    __hash__ = object.__hash__


f = functools.partial(E, 1)
