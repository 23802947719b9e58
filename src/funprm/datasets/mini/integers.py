"""The operations on lists of integers."""

from itertools import pairwise

from funprm.datasets.mini.integer_maps import INTEGER_MAPS
from funprm.datasets.mini.integer_reducers import INTEGER_REDUCERS
from funprm.datasets.mini.operations import SMALL, THRESHOLDS, Family, Operation, running, variant

FILTERS = (
    Operation(
        "above",
        "Keep the large values.",
        ("Keep the values above {n}", "Keep what exceeds {n}", "Remove everything up to {n}"),
        (variant("[x for x in xs if x > {n}]", lambda xs, n: [x for x in xs if x > n]),),
        (variant("[x for x in xs if x >= {n}]", lambda xs, n: [x for x in xs if x >= n]),),
        THRESHOLDS,
    ),
    Operation(
        "at_least",
        "Drop the values that are too small.",
        ("Drop the values below {n}", "Keep the values that are at least {n}"),
        (variant("[x for x in xs if x >= {n}]", lambda xs, n: [x for x in xs if x >= n]),),
        (
            variant("[x for x in xs if x > {n}]", lambda xs, n: [x for x in xs if x > n]),
            variant("[x for x in xs if x <= {n}]", lambda xs, n: [x for x in xs if x <= n]),
        ),
        THRESHOLDS,
    ),
    Operation(
        "below",
        "Keep the small values.",
        ("Keep the values below {n}", "Remove everything from {n} upwards"),
        (variant("[x for x in xs if x < {n}]", lambda xs, n: [x for x in xs if x < n]),),
        (variant("[x for x in xs if x <= {n}]", lambda xs, n: [x for x in xs if x <= n]),),
        THRESHOLDS,
    ),
    Operation(
        "at_most",
        "Drop the values that are too large.",
        ("Drop the values above {n}", "Keep the values up to {n}"),
        (variant("[x for x in xs if x <= {n}]", lambda xs, n: [x for x in xs if x <= n]),),
        (
            variant("[x for x in xs if x < {n}]", lambda xs, n: [x for x in xs if x < n]),
            variant("[x for x in xs if x > {n}]", lambda xs, n: [x for x in xs if x > n]),
        ),
        THRESHOLDS,
    ),
    Operation(
        "evens",
        "Keep the even values.",
        ("Keep the even values", "Drop the odd values"),
        (variant("[x for x in xs if x % 2 == 0]", lambda xs, n: [x for x in xs if x % 2 == 0]),),
        (variant("xs[::2]", lambda xs, n: xs[::2]),),
    ),
    Operation(
        "odds",
        "Keep the odd values.",
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
        "Keep the multiples.",
        ("Keep the multiples of {n}", "Keep what is divisible by {n}"),
        (variant("[x for x in xs if x % {n} == 0]", lambda xs, n: [x for x in xs if x % n == 0]),),
        (
            variant("[x for x in xs if x % {n}]", lambda xs, n: [x for x in xs if x % n]),
            variant("[x for x in xs if x // {n}]", lambda xs, n: [x for x in xs if x // n]),
        ),
        SMALL,
    ),
    Operation(
        "unique",
        "Keep the first of equal values.",
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
)
"""Operations that keep some of the values."""

SLICES = (
    Operation(
        "first",
        "Cut off all but the beginning.",
        ("Keep the first {n} values", "Take only {n} values from the front"),
        (variant("xs[:{n}]", lambda xs, n: xs[:n]),),
        (
            variant("xs[1:{n}]", lambda xs, n: xs[1:n]),
            variant("xs[:{n} - 1]", lambda xs, n: xs[: n - 1]),
        ),
        SMALL,
    ),
    Operation(
        "last",
        "Cut off all but the end.",
        ("Keep the last {n} values", "Take only {n} values from the back"),
        (variant("xs[-{n}:]", lambda xs, n: xs[-n:]),),
        (
            variant("xs[{n}:]", lambda xs, n: xs[n:]),
            variant("xs[-{n}:-1]", lambda xs, n: xs[-n:-1]),
        ),
        SMALL,
    ),
    Operation(
        "skip",
        "Leave out the beginning.",
        ("Leave out the first {n} values", "Skip {n} values at the front"),
        (variant("xs[{n}:]", lambda xs, n: xs[n:]),),
        (
            variant("xs[{n} + 1:]", lambda xs, n: xs[n + 1 :]),
            variant("xs[:{n}]", lambda xs, n: xs[:n]),
        ),
        SMALL,
    ),
    Operation(
        "alternate",
        "Keep every second value.",
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
)
"""Operations that keep a stretch of the list."""

ORDERS = (
    Operation(
        "backwards",
        "Turn the list round.",
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
        "Put the smallest first.",
        ("Sort from small to large", "Sort in ascending order"),
        (variant("sorted(xs)", lambda xs, n: sorted(xs)),),
        (
            variant("sorted(xs, key=abs)", lambda xs, n: sorted(xs, key=abs)),
            variant("sorted(set(xs))", lambda xs, n: sorted(set(xs))),
        ),
    ),
    Operation(
        "descending",
        "Put the largest first.",
        ("Sort from large to small", "Sort in descending order"),
        (variant("sorted(xs, reverse=True)", lambda xs, n: sorted(xs, reverse=True)),),
        (
            variant("xs[::-1]", lambda xs, n: xs[::-1]),
            variant("sorted(xs)", lambda xs, n: sorted(xs)),
        ),
    ),
    Operation(
        "rotate",
        "Move the front to the back.",
        ("Move the first value to the end", "Rotate the list to the left by one place"),
        (variant("xs[1:] + xs[:1]", lambda xs, n: xs[1:] + xs[:1]),),
        (
            variant("xs[-1:] + xs[:-1]", lambda xs, n: xs[-1:] + xs[:-1]),
            variant("xs[1:]", lambda xs, n: xs[1:]),
        ),
    ),
)
"""Operations that change the order."""

NEIGHBOURS = (
    Operation(
        "accumulate",
        "Sum up to each position.",
        ("Replace the list by its running sums", "Replace each value by the sum up to it"),
        (
            variant(
                "total, sums = 0, []\nfor x in xs:\n"
                "    total += x\n    sums.append(total)\nreturn sums",
                lambda xs, n: running(xs),
            ),
        ),
        (
            variant(
                "total, sums = 0, []\nfor x in xs:\n"
                "    sums.append(total)\n    total += x\nreturn sums",
                lambda xs, n: running([0, *xs])[:-1],
            ),
        ),
    ),
    Operation(
        "differences",
        "Subtract neighbours.",
        (
            "Take the differences of neighbours, later minus earlier",
            "Replace the list by its steps",
        ),
        (
            variant(
                "[b - a for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [b - a for a, b in pairwise(xs)],
            ),
        ),
        (
            variant(
                "[a - b for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [a - b for a, b in pairwise(xs)],
            ),
            variant(
                "[abs(b - a) for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [abs(b - a) for a, b in pairwise(xs)],
            ),
        ),
    ),
    Operation(
        "pair_sums",
        "Add neighbours.",
        ("Take the sums of neighbours", "Replace the list by its sums of two in a row"),
        (
            variant(
                "[a + b for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [a + b for a, b in pairwise(xs)],
            ),
        ),
        (
            variant(
                "[a + b for a, b in zip(xs[::2], xs[1::2])]",
                lambda xs, n: [a + b for a, b in zip(xs[::2], xs[1::2], strict=False)],
            ),
        ),
    ),
)
"""Operations on neighbouring values."""

INTEGER_OPERATIONS = (*FILTERS, *SLICES, *ORDERS, *INTEGER_MAPS, *NEIGHBOURS)
"""All operations list → list."""

INTEGERS = Family(
    argument="xs",
    openings=(
        "Given is a list xs of integers",
        "Write solve for a list xs of integers",
        "Start from the integers xs",
    ),
    operations=INTEGER_OPERATIONS,
    reducers=INTEGER_REDUCERS,
)
"""Problems about lists of integers."""
