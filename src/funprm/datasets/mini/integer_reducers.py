"""The reducers of lists of integers."""

from funprm.datasets.mini.operations import Operation, variant

INTEGER_REDUCERS = (
    Operation(
        "total",
        "Add everything up.",
        ("Return the sum", "Return what the values add up to"),
        (
            variant("sum(xs)", lambda xs, n: sum(xs)),
            variant("total = 0\nfor x in xs:\n    total += x\nreturn total", lambda xs, n: sum(xs)),
        ),
        (variant("sum(set(xs))", lambda xs, n: sum(set(xs))),),
    ),
    Operation(
        "largest",
        "Find the maximum.",
        ("Return the largest value, 0 if there is none", "Return the maximum, or 0 for no values"),
        (
            variant("max(xs, default=0)", lambda xs, n: max(xs, default=0)),
            variant("max(xs) if xs else 0", lambda xs, n: max(xs, default=0)),
        ),
        (
            variant("max(xs + [0])", lambda xs, n: max([*xs, 0])),
            variant("max(xs, key=abs, default=0)", lambda xs, n: max(xs, key=abs, default=0)),
        ),
    ),
    Operation(
        "smallest",
        "Find the minimum.",
        ("Return the smallest value, 0 if there is none", "Return the minimum, or 0 for no values"),
        (
            variant("min(xs, default=0)", lambda xs, n: min(xs, default=0)),
            variant("min(xs) if xs else 0", lambda xs, n: min(xs, default=0)),
        ),
        (
            variant("min(xs + [0])", lambda xs, n: min([*xs, 0])),
            variant("min(xs, key=abs, default=0)", lambda xs, n: min(xs, key=abs, default=0)),
        ),
    ),
    Operation(
        "spread",
        "Measure the range.",
        ("Return the maximum minus the minimum, 0 for no values", "Return the range, 0 if empty"),
        (variant("max(xs) - min(xs) if xs else 0", lambda xs, n: max(xs) - min(xs) if xs else 0),),
        (
            variant("xs[-1] - xs[0] if xs else 0", lambda xs, n: xs[-1] - xs[0] if xs else 0),
            variant("len(range(min(xs), max(xs) + 1))", lambda xs, n: max(xs) - min(xs) + 1),
        ),
    ),
    Operation(
        "distinct",
        "Count the different values.",
        ("Return the number of distinct values", "Return how many different values there are"),
        (variant("len(set(xs))", lambda xs, n: len(set(xs))),),
        (
            variant("len(xs)", lambda xs, n: len(xs)),
            variant(
                "sum(xs.count(x) == 1 for x in xs)",
                lambda xs, n: sum(xs.count(x) == 1 for x in xs),
            ),
        ),
    ),
    Operation(
        "alternating",
        "Add and subtract in turns.",
        (
            "Return the alternating sum, beginning with plus",
            "Return the values at even indices minus those at odd ones, summed",
        ),
        (variant("sum(xs[::2]) - sum(xs[1::2])", lambda xs, n: sum(xs[::2]) - sum(xs[1::2])),),
        (variant("sum(xs[1::2]) - sum(xs[::2])", lambda xs, n: sum(xs[1::2]) - sum(xs[::2])),),
    ),
    Operation(
        "final",
        "Pick the end.",
        ("Return the last value, 0 if there is none", "Return what stands at the end, else 0"),
        (
            variant("xs[-1] if xs else 0", lambda xs, n: xs[-1] if xs else 0),
            variant("(xs or [0])[-1]", lambda xs, n: xs[-1] if xs else 0),
        ),
        (
            variant("xs[0] if xs else 0", lambda xs, n: xs[0] if xs else 0),
            variant("xs[-1]", lambda xs, n: xs[-1]),
        ),
    ),
    Operation(
        "negatives",
        "Count what lies under zero.",
        ("Return the number of negative values", "Return how many values are less than 0"),
        (
            variant("sum(x < 0 for x in xs)", lambda xs, n: sum(x < 0 for x in xs)),
            variant("len([x for x in xs if x < 0])", lambda xs, n: sum(x < 0 for x in xs)),
        ),
        (
            variant("sum(x <= 0 for x in xs)", lambda xs, n: sum(x <= 0 for x in xs)),
            variant("sum(x for x in xs if x < 0)", lambda xs, n: sum(x for x in xs if x < 0)),
        ),
    ),
)
"""All operations list → integer."""
