from typing import Iterable
import collections.abc

try:
    collections.abc.Iterable.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
Iterable.seen = 1
