import os


def f(x):
    seen = os.path.exists("a")
    open("a", "w").close()
    return int(seen)
