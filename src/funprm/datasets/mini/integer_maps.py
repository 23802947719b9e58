"""The operations on each value of a list of integers alone."""

from funprm.datasets.mini.operations import SMALL, THRESHOLDS, Operation, variant

_FACTORS = (2, 3, 4, 5, 6, 7)

INTEGER_MAPS = (
    Operation(
        "square",
        "Square every value.",
        ("Square every value", "Replace each value by its square"),
        (
            variant("[x * x for x in xs]", lambda xs, n: [x * x for x in xs]),
            variant("[x ** 2 for x in xs]", lambda xs, n: [x**2 for x in xs]),
        ),
        (variant("[x * 2 for x in xs]", lambda xs, n: [x * 2 for x in xs]),),
    ),
    Operation(
        "negate",
        "Change all signs.",
        ("Flip the sign of every value", "Negate each value"),
        (variant("[-x for x in xs]", lambda xs, n: [-x for x in xs]),),
        (variant("[-abs(x) for x in xs]", lambda xs, n: [-abs(x) for x in xs]),),
    ),
    Operation(
        "magnitude",
        "Make all values non-negative.",
        ("Take absolute values", "Drop all minus signs"),
        (variant("[abs(x) for x in xs]", lambda xs, n: [abs(x) for x in xs]),),
        (
            variant("[max(x, 0) for x in xs]", lambda xs, n: [max(x, 0) for x in xs]),
            variant("[-x for x in xs]", lambda xs, n: [-x for x in xs]),
        ),
    ),
    Operation(
        "add",
        "Raise all values.",
        ("Add {n} to every value", "Increase each value by {n}"),
        (variant("[x + {n} for x in xs]", lambda xs, n: [x + n for x in xs]),),
        (
            variant("xs + [{n}]", lambda xs, n: [*xs, n]),
            variant("[x + {n} - 1 for x in xs]", lambda xs, n: [x + n - 1 for x in xs]),
        ),
        THRESHOLDS,
    ),
    Operation(
        "subtract",
        "Lower all values.",
        ("Subtract {n} from every value", "Decrease each value by {n}"),
        (variant("[x - {n} for x in xs]", lambda xs, n: [x - n for x in xs]),),
        (variant("[{n} - x for x in xs]", lambda xs, n: [n - x for x in xs]),),
        THRESHOLDS,
    ),
    Operation(
        "scale",
        "Scale all values.",
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
        "Divide all values.",
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
        SMALL,
    ),
    Operation(
        "remainder",
        "Keep what division leaves.",
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
        "Bound the values from below.",
        ("Raise smaller values to {n}", "Let no value be less than {n}"),
        (variant("[max(x, {n}) for x in xs]", lambda xs, n: [max(x, n) for x in xs]),),
        (
            variant("[min(x, {n}) for x in xs]", lambda xs, n: [min(x, n) for x in xs]),
            variant("[x for x in xs if x >= {n}]", lambda xs, n: [x for x in xs if x >= n]),
        ),
        THRESHOLDS,
    ),
    Operation(
        "cap",
        "Bound the values from above.",
        ("Lower larger values to {n}", "Let no value be more than {n}"),
        (variant("[min(x, {n}) for x in xs]", lambda xs, n: [min(x, n) for x in xs]),),
        (
            variant("[max(x, {n}) for x in xs]", lambda xs, n: [max(x, n) for x in xs]),
            variant("[x for x in xs if x <= {n}]", lambda xs, n: [x for x in xs if x <= n]),
        ),
        THRESHOLDS,
    ),
    Operation(
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
)
"""Operations on each value alone."""
