import os


def f(x):
    seen = "ZZ" in os.environ
    os.environ["ZZ"] = "1"
    return int(seen)
