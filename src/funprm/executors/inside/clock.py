"""How much slower than at its best the processor is just now.

CPU time measures work only as long as nothing else slows a core down: a busy sibling thread, a
shared cache, or a virtual machine's host can double it. Time limits are stretched by the slowdown
that a fixed piece of work shows meanwhile, so that a program near its limit gets the same verdict
on a busy machine. Standard library only.
"""

from __future__ import annotations

import time

_MOST = 2.5
_ROUNDS = 3
_WARM_UP = 60
_best = float("inf")


def _work() -> float:
    """CPU seconds of the fixed piece of work, about a third of a millisecond."""
    start = time.thread_time()
    table = list(range(64))
    total = 0
    for number in range(4000):
        total += table[number & 63] ^ number
    return time.thread_time() - start


def slowdown() -> float:
    """Present CPU time of the work over the least ever seen, from 1 to 2.5."""
    global _best
    present = min(_work() for _ in range(_ROUNDS))
    _best = min(_best, present)
    return min(_MOST, present / _best)


def warm_up() -> None:
    """See the processor at its best before the first program."""
    for _ in range(_WARM_UP):
        slowdown()
