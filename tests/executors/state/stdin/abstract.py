from abc import abstractmethod
from heapq import merge

try:
    merge.__isabstractmethod__
except AttributeError:
    print("fresh")
else:
    print("seen")
abstractmethod(merge)
