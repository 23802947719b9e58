"""Hidden tests that compare a program's answers with those of a reference solution.

EvalPlus (arXiv 2305.01210, section 2.3) publishes inputs only; the expected outputs are what the
reference gives. Floats may differ by `atol + 1e-7 |expected|`.
"""

from collections.abc import Sequence

from funprm.records import Json

_MIN_ATOL = 1e-6

_CHECK = """\
import copy


def same(got, expected):
    if isinstance(expected, float):
        if type(got) not in (int, float):
            return False
        if got == expected or (got != got and expected != expected):
            return True
        return abs(got - expected) <= ATOL + 1e-7 * abs(expected) < float("inf")
    if type(expected) in (list, tuple):
        return (
            type(got) is type(expected)
            and len(got) == len(expected)
            and all(map(same, got, expected))
        )
    if type(expected) is dict:
        return (
            type(got) is dict
            and got.keys() == expected.keys()
            and all(same(got[key], expected[key]) for key in expected)
        )
    return got == expected


def is_zero(got, scope, arguments):
    return abs(scope["poly"](*arguments, got)) <= max(ATOL, 1e-4)


def check(candidate):
    scope = {}
    exec(REFERENCE, scope)
    for arguments in INPUTS:
        got = candidate(*copy.deepcopy(arguments))
        if ENTRY_POINT == "find_zero":
            assert is_zero(got, scope, arguments), (arguments, got)
            continue
        expected = scope[ENTRY_POINT](*copy.deepcopy(arguments))
        assert same(got, expected), (arguments, got, expected)
"""


def check_against_reference(
    reference: str, entry_point: str, inputs: Sequence[Json], atol: float
) -> str:
    """Source of a `check(candidate)` that runs both on all inputs.

    Args:
        reference: source of the reference solution.
        entry_point: the function's name; `find_zero` (HumanEval/32) has more than one right
            answer: any is taken at which the reference's `poly` is zero.
        inputs: lists of positional arguments.
        atol: absolute tolerance of floats, at least 1e-6.
    """
    constants = {
        "REFERENCE": reference,
        "ENTRY_POINT": entry_point,
        "INPUTS": list(inputs),
        "ATOL": max(atol, _MIN_ATOL),
    }
    return "".join(f"{name} = {value!r}\n" for name, value in constants.items()) + _CHECK
