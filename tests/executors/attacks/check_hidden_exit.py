# kinds: check
# Ends its process in the middle of a call, as if all were well.
import os


def f(x):
    os._exit(0)
