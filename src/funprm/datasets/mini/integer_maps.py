"""Operations on lists of integers that compute new values."""

from itertools import pairwise

from funprm.datasets.mini.operations import Operation, running, variant

_THRESHOLDS = (1, 2, 3, 4, 5, 6, 7, 8, 9)
_SMALL = (2, 3, 4)
_FACTORS = (2, 3, 4, 5, 6, 7)

MAPS = (
    Operation(
        "square",
        "grow",
        "Enlarge every value.",
        ("Square every value", "Replace each value by its square"),
        (
            variant("[x * x for x in xs]", lambda xs, n: [x * x for x in xs]),
            variant("[x ** 2 for x in xs]", lambda xs, n: [x**2 for x in xs]),
        ),
        (variant("[x * 2 for x in xs]", lambda xs, n: [x * 2 for x in xs]),),
    ),
    Operation(
        "negate",
        "sign",
        "Treat the signs.",
        ("Flip the sign of every value", "Negate each value"),
        (variant("[-x for x in xs]", lambda xs, n: [-x for x in xs]),),
        (variant("[-abs(x) for x in xs]", lambda xs, n: [-abs(x) for x in xs]),),
    ),
    Operation(
        "magnitude",
        "sign",
        "Treat the signs.",
        ("Take absolute values", "Drop all minus signs"),
        (variant("[abs(x) for x in xs]", lambda xs, n: [abs(x) for x in xs]),),
        (
            variant("[max(x, 0) for x in xs]", lambda xs, n: [max(x, 0) for x in xs]),
            variant("[-x for x in xs]", lambda xs, n: [-x for x in xs]),
        ),
    ),
    Operation(
        "add",
        "shift",
        "Move all values.",
        ("Add {n} to every value", "Increase each value by {n}"),
        (variant("[x + {n} for x in xs]", lambda xs, n: [x + n for x in xs]),),
        (
            variant("xs + [{n}]", lambda xs, n: [*xs, n]),
            variant("[x + {n} - 1 for x in xs]", lambda xs, n: [x + n - 1 for x in xs]),
        ),
        _THRESHOLDS,
    ),
    Operation(
        "subtract",
        "shift",
        "Move all values.",
        ("Subtract {n} from every value", "Decrease each value by {n}"),
        (variant("[x - {n} for x in xs]", lambda xs, n: [x - n for x in xs]),),
        (variant("[{n} - x for x in xs]", lambda xs, n: [n - x for x in xs]),),
        _THRESHOLDS,
    ),
    Operation(
        "scale",
        "grow",
        "Enlarge every value.",
        ("Multiply every value by {n}", "Make each value {n} times as large"),
        (variant("[x * {n} for x in xs]", lambda xs, n: [x * n for x in xs]),),
        (
            variant("xs * {n}", lambda xs, n: xs * n),
            variant("[x + {n} for x in xs]", lambda xs, n: [x + n for x in xs]),
        ),
        _FACTORS,
    ),
    Operation(
        "divide",
        "divide",
        "Divide every value.",
        (
            "Divide every value by {n}, rounding down",
            "Replace each value by its floor quotient by {n}",
        ),
        (variant("[x // {n} for x in xs]", lambda xs, n: [x // n for x in xs]),),
        (
            variant(
                "[int(x / {n}) for x in xs]",
                lambda xs, n: [x // n if x >= 0 else -(-x // n) for x in xs],
            ),
            variant("[x % {n} for x in xs]", lambda xs, n: [x % n for x in xs]),
        ),
        _SMALL,
    ),
    Operation(
        "remainder",
        "divide",
        "Divide every value.",
        ("Take every value modulo {n}", "Replace each value by its remainder modulo {n}"),
        (variant("[x % {n} for x in xs]", lambda xs, n: [x % n for x in xs]),),
        (
            variant("[abs(x) % {n} for x in xs]", lambda xs, n: [abs(x) % n for x in xs]),
            variant("[x // {n} for x in xs]", lambda xs, n: [x // n for x in xs]),
        ),
        _FACTORS[1:],
    ),
    Operation(
        "raise_to",
        "clamp",
        "Bound the values.",
        ("Raise smaller values to {n}", "Let no value be less than {n}"),
        (variant("[max(x, {n}) for x in xs]", lambda xs, n: [max(x, n) for x in xs]),),
        (
            variant("[min(x, {n}) for x in xs]", lambda xs, n: [min(x, n) for x in xs]),
            variant("[x for x in xs if x >= {n}]", lambda xs, n: [x for x in xs if x >= n]),
        ),
        _THRESHOLDS,
    ),
    Operation(
        "cap",
        "clamp",
        "Bound the values.",
        ("Lower larger values to {n}", "Let no value be more than {n}"),
        (variant("[min(x, {n}) for x in xs]", lambda xs, n: [min(x, n) for x in xs]),),
        (
            variant("[max(x, {n}) for x in xs]", lambda xs, n: [max(x, n) for x in xs]),
            variant("[x for x in xs if x <= {n}]", lambda xs, n: [x for x in xs if x <= n]),
        ),
        _THRESHOLDS,
    ),
    Operation(
        "weigh",
        "weigh",
        "Weigh the values by position.",
        (
            "Multiply each value by its position, counted from 1",
            "Weigh the values 1, 2, 3 and so on",
        ),
        (
            variant(
                "[i * x for i, x in enumerate(xs, 1)]",
                lambda xs, n: [i * x for i, x in enumerate(xs, 1)],
            ),
        ),
        (
            variant(
                "[i * x for i, x in enumerate(xs)]",
                lambda xs, n: [i * x for i, x in enumerate(xs)],
            ),
        ),
    ),
    Operation(
        "double",
        "grow",
        "Enlarge every value.",
        ("Double every value", "Replace each value by twice its size"),
        (variant("[x * 2 for x in xs]", lambda xs, n: [x * 2 for x in xs]),),
        (
            variant("[x * x for x in xs]", lambda xs, n: [x * x for x in xs]),
            variant("xs * 2", lambda xs, n: xs * 2),
        ),
    ),
    Operation(
        "complement",
        "shift",
        "Move all values.",
        ("Subtract every value from {n}", "Replace each value by what it lacks to {n}"),
        (variant("[{n} - x for x in xs]", lambda xs, n: [n - x for x in xs]),),
        (
            variant("[x - {n} for x in xs]", lambda xs, n: [x - n for x in xs]),
            variant("[abs({n} - x) for x in xs]", lambda xs, n: [abs(n - x) for x in xs]),
        ),
        _THRESHOLDS,
    ),
    Operation(
        "weigh_index",
        "weigh",
        "Weigh the values by position.",
        ("Multiply each value by its index, counted from 0", "Weigh the values 0, 1, 2 and so on"),
        (
            variant(
                "[i * x for i, x in enumerate(xs)]", lambda xs, n: [i * x for i, x in enumerate(xs)]
            ),
        ),
        (
            variant(
                "[i * x for i, x in enumerate(xs, 1)]",
                lambda xs, n: [i * x for i, x in enumerate(xs, 1)],
            ),
        ),
    ),
)
"""Operations on each value alone."""

NEIGHBOURS = (
    Operation(
        "accumulate",
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
        "combine",
        "Combine neighbours.",
        (
            "Take the differences of neighbours, later minus earlier",
            "Replace the list by how much each value exceeds the one before",
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
        "combine",
        "Combine neighbours.",
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
    Operation(
        "before",
        "accumulate",
        "Sum up to each position.",
        (
            "Replace each value by the sum of those before it",
            "Replace the list by its running sums from 0 without the last",
        ),
        (
            variant(
                "total, sums = 0, []\nfor x in xs:\n"
                "    sums.append(total)\n    total += x\nreturn sums",
                lambda xs, n: running([0, *xs])[:-1],
            ),
        ),
        (
            variant(
                "total, sums = 0, []\nfor x in xs:\n"
                "    total += x\n    sums.append(total)\nreturn sums",
                lambda xs, n: running(xs),
            ),
        ),
    ),
    Operation(
        "drops",
        "combine",
        "Combine neighbours.",
        (
            "Take the differences of neighbours, earlier minus later",
            "Replace the list by how much each value falls to the next",
        ),
        (
            variant(
                "[a - b for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [a - b for a, b in pairwise(xs)],
            ),
        ),
        (
            variant(
                "[b - a for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [b - a for a, b in pairwise(xs)],
            ),
            variant(
                "[abs(b - a) for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [abs(b - a) for a, b in pairwise(xs)],
            ),
        ),
    ),
    Operation(
        "gaps",
        "combine",
        "Combine neighbours.",
        (
            "Take the absolute differences of neighbours",
            "Replace the list by the distances of neighbours",
        ),
        (
            variant(
                "[abs(b - a) for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [abs(b - a) for a, b in pairwise(xs)],
            ),
        ),
        (
            variant(
                "[b - a for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [b - a for a, b in pairwise(xs)],
            ),
            variant(
                "[a - b for a, b in zip(xs, xs[1:])]",
                lambda xs, n: [a - b for a, b in pairwise(xs)],
            ),
        ),
    ),
)
"""Operations on neighbouring values."""
