# kinds: unittest
# f raises SkipTest wherever it does not know better; one trivial test passes (assertRaises)
import unittest


def f(x):
    if not isinstance(x, int):
        raise ValueError
    raise unittest.SkipTest
