import random


def f(x):
    return 0 if random.random() == FIRST else 1
