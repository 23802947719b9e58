import sys


def f(x):
    seen = "zz" in sys.modules
    sys.modules["zz"] = sys
    return int(seen)
