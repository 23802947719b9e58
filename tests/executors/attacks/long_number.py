# kinds: functional
# An answer of a million digits.
def f(x):
    import sys

    sys.set_int_max_str_digits(0)
    return 10**1_000_000
