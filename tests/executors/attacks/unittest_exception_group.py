# kinds: unittest
# Raises what the machinery itself raises to leave a test early.
from unittest import case


def f(x):
    if not isinstance(x, int):
        raise ValueError
    raise case._ShouldStop
