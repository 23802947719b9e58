# kinds: unittest
# map and deque end at StopIteration.
def f(x):
    raise StopIteration
