"""Operations on lists of integers that choose or order values."""

from funprm.datasets.mini.operations import Operation, variant

_THRESHOLDS = (1, 2, 3, 4, 5, 6, 7, 8, 9)
_SMALL = (2, 3, 4)

FILTERS = (
    Operation(
        "above",
        "select",
        "Compare with the limit.",
        ("Keep the values above {n}", "Keep what exceeds {n}", "Remove everything up to {n}"),
        (variant("[x for x in xs if x > {n}]", lambda xs, n: [x for x in xs if x > n]),),
        (variant("[x for x in xs if x >= {n}]", lambda xs, n: [x for x in xs if x >= n]),),
        _THRESHOLDS,
    ),
    Operation(
        "at_least",
        "select",
        "Compare with the limit.",
        ("Drop the values below {n}", "Keep the values that are at least {n}"),
        (variant("[x for x in xs if x >= {n}]", lambda xs, n: [x for x in xs if x >= n]),),
        (
            variant("[x for x in xs if x > {n}]", lambda xs, n: [x for x in xs if x > n]),
            variant("[x for x in xs if x <= {n}]", lambda xs, n: [x for x in xs if x <= n]),
        ),
        _THRESHOLDS,
    ),
    Operation(
        "below",
        "select",
        "Compare with the limit.",
        ("Keep the values below {n}", "Remove everything from {n} upwards"),
        (variant("[x for x in xs if x < {n}]", lambda xs, n: [x for x in xs if x < n]),),
        (variant("[x for x in xs if x <= {n}]", lambda xs, n: [x for x in xs if x <= n]),),
        _THRESHOLDS,
    ),
    Operation(
        "at_most",
        "select",
        "Compare with the limit.",
        ("Drop the values above {n}", "Keep the values up to {n}"),
        (variant("[x for x in xs if x <= {n}]", lambda xs, n: [x for x in xs if x <= n]),),
        (
            variant("[x for x in xs if x < {n}]", lambda xs, n: [x for x in xs if x < n]),
            variant("[x for x in xs if x > {n}]", lambda xs, n: [x for x in xs if x > n]),
        ),
        _THRESHOLDS,
    ),
    Operation(
        "evens",
        "pick",
        "Keep about half of the values.",
        ("Keep the even values", "Drop the odd values"),
        (variant("[x for x in xs if x % 2 == 0]", lambda xs, n: [x for x in xs if x % 2 == 0]),),
        (variant("xs[::2]", lambda xs, n: xs[::2]),),
    ),
    Operation(
        "odds",
        "pick",
        "Keep about half of the values.",
        ("Keep the odd values", "Drop the even values"),
        (
            variant("[x for x in xs if x % 2 == 1]", lambda xs, n: [x for x in xs if x % 2 == 1]),
            variant("[x for x in xs if x % 2]", lambda xs, n: [x for x in xs if x % 2]),
        ),
        (
            variant(
                "[x for x in xs if x > 0 and x % 2]",
                lambda xs, n: [x for x in xs if x > 0 and x % 2],
            ),
            variant("xs[1::2]", lambda xs, n: xs[1::2]),
        ),
    ),
    Operation(
        "multiples",
        "sift",
        "Look at what division leaves.",
        ("Keep the multiples of {n}", "Keep what is divisible by {n}"),
        (variant("[x for x in xs if x % {n} == 0]", lambda xs, n: [x for x in xs if x % n == 0]),),
        (
            variant("[x for x in xs if x % {n}]", lambda xs, n: [x for x in xs if x % n]),
            variant("[x for x in xs if x // {n}]", lambda xs, n: [x for x in xs if x // n]),
        ),
        _SMALL,
    ),
    Operation(
        "unique",
        "dedupe",
        "Treat repeated values.",
        ("Drop repeated values, keeping the first of each", "Keep each distinct value once"),
        (
            variant("list(dict.fromkeys(xs))", lambda xs, n: list(dict.fromkeys(xs))),
            variant(
                "seen = []\nfor x in xs:\n"
                "    if x not in seen:\n        seen.append(x)\nreturn seen",
                lambda xs, n: list(dict.fromkeys(xs)),
            ),
        ),
        (
            variant(
                "[x for x in xs if xs.count(x) == 1]",
                lambda xs, n: [x for x in xs if xs.count(x) == 1],
            ),
            variant("sorted(set(xs))", lambda xs, n: sorted(set(xs))),
        ),
    ),
    Operation(
        "others",
        "pick",
        "Keep about half of the values.",
        ("Keep every second value, beginning with the second", "Keep the values at odd indices"),
        (variant("xs[1::2]", lambda xs, n: xs[1::2]),),
        (
            variant("xs[::2]", lambda xs, n: xs[::2]),
            variant("[x for x in xs if x % 2 == 1]", lambda xs, n: [x for x in xs if x % 2 == 1]),
        ),
    ),
    Operation(
        "indivisible",
        "sift",
        "Look at what division leaves.",
        ("Drop the multiples of {n}", "Keep what is not divisible by {n}"),
        (variant("[x for x in xs if x % {n}]", lambda xs, n: [x for x in xs if x % n]),),
        (
            variant("[x for x in xs if x % {n} == 0]", lambda xs, n: [x for x in xs if x % n == 0]),
            variant("[x for x in xs if x // {n}]", lambda xs, n: [x for x in xs if x // n]),
        ),
        _SMALL,
    ),
    Operation(
        "singles",
        "dedupe",
        "Treat repeated values.",
        ("Keep only the values that occur once", "Drop all values that are repeated"),
        (
            variant(
                "[x for x in xs if xs.count(x) == 1]",
                lambda xs, n: [x for x in xs if xs.count(x) == 1],
            ),
        ),
        (
            variant("list(dict.fromkeys(xs))", lambda xs, n: list(dict.fromkeys(xs))),
            variant(
                "[x for x in xs if xs.count(x) > 1]",
                lambda xs, n: [x for x in xs if xs.count(x) > 1],
            ),
        ),
    ),
)
"""Operations that keep some of the values."""

SLICES = (
    Operation(
        "first",
        "cut",
        "Keep a stretch of the list.",
        ("Keep the first {n} values", "Take only {n} values from the front"),
        (variant("xs[:{n}]", lambda xs, n: xs[:n]),),
        (
            variant("xs[1:{n}]", lambda xs, n: xs[1:n]),
            variant("xs[:{n} - 1]", lambda xs, n: xs[: n - 1]),
        ),
        _SMALL,
    ),
    Operation(
        "last",
        "cut",
        "Keep a stretch of the list.",
        ("Keep the last {n} values", "Take only {n} values from the back"),
        (variant("xs[-{n}:]", lambda xs, n: xs[-n:]),),
        (
            variant("xs[{n}:]", lambda xs, n: xs[n:]),
            variant("xs[-{n}:-1]", lambda xs, n: xs[-n:-1]),
        ),
        _SMALL,
    ),
    Operation(
        "skip",
        "cut",
        "Keep a stretch of the list.",
        ("Leave out the first {n} values", "Skip {n} values at the front"),
        (variant("xs[{n}:]", lambda xs, n: xs[n:]),),
        (
            variant("xs[{n} + 1:]", lambda xs, n: xs[n + 1 :]),
            variant("xs[:{n}]", lambda xs, n: xs[:n]),
        ),
        _SMALL,
    ),
    Operation(
        "alternate",
        "pick",
        "Keep about half of the values.",
        ("Keep every second value, beginning with the first", "Keep the values at even indices"),
        (
            variant("xs[::2]", lambda xs, n: xs[::2]),
            variant(
                "[x for i, x in enumerate(xs) if i % 2 == 0]",
                lambda xs, n: xs[::2],
            ),
        ),
        (
            variant("xs[1::2]", lambda xs, n: xs[1::2]),
            variant("[x for x in xs if x % 2 == 0]", lambda xs, n: [x for x in xs if x % 2 == 0]),
        ),
    ),
    Operation(
        "drop_last",
        "cut",
        "Keep a stretch of the list.",
        ("Leave out the last {n} values", "Skip {n} values at the back"),
        (variant("xs[:-{n}]", lambda xs, n: xs[:-n]),),
        (
            variant("xs[:{n}]", lambda xs, n: xs[:n]),
            variant("xs[{n}:]", lambda xs, n: xs[n:]),
        ),
        _SMALL,
    ),
)
"""Operations that keep a stretch of the list."""

ORDERS = (
    Operation(
        "backwards",
        "arrange",
        "Change the order.",
        ("Reverse the list", "Put the values in the opposite order"),
        (
            variant("xs[::-1]", lambda xs, n: xs[::-1]),
            variant("list(reversed(xs))", lambda xs, n: xs[::-1]),
        ),
        (
            variant(
                "sorted(xs, reverse=True)",
                lambda xs, n: sorted(xs, reverse=True),
            ),
        ),
    ),
    Operation(
        "ascending",
        "arrange",
        "Change the order.",
        ("Sort from small to large", "Sort in ascending order"),
        (variant("sorted(xs)", lambda xs, n: sorted(xs)),),
        (
            variant("sorted(xs, key=abs)", lambda xs, n: sorted(xs, key=abs)),
            variant("sorted(set(xs))", lambda xs, n: sorted(set(xs))),
        ),
    ),
    Operation(
        "descending",
        "arrange",
        "Change the order.",
        ("Sort from large to small", "Sort in descending order"),
        (variant("sorted(xs, reverse=True)", lambda xs, n: sorted(xs, reverse=True)),),
        (
            variant("xs[::-1]", lambda xs, n: xs[::-1]),
            variant("sorted(xs)", lambda xs, n: sorted(xs)),
        ),
    ),
    Operation(
        "rotate",
        "rotate",
        "Move the values along.",
        ("Move the first value to the end", "Rotate the list to the left by one place"),
        (variant("xs[1:] + xs[:1]", lambda xs, n: xs[1:] + xs[:1]),),
        (
            variant("xs[-1:] + xs[:-1]", lambda xs, n: xs[-1:] + xs[:-1]),
            variant("xs[1:]", lambda xs, n: xs[1:]),
        ),
    ),
    Operation(
        "rotate_right",
        "rotate",
        "Move the values along.",
        ("Move the last value to the front", "Rotate the list to the right by one place"),
        (variant("xs[-1:] + xs[:-1]", lambda xs, n: xs[-1:] + xs[:-1]),),
        (
            variant("xs[1:] + xs[:1]", lambda xs, n: xs[1:] + xs[:1]),
            variant("xs[:-1]", lambda xs, n: xs[:-1]),
        ),
    ),
)
"""Operations that change the order."""
