"""Texts of values are equal exactly if the values are."""

from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from funprm.executors.inside.canonical import canonical

NUMBERS = st.sampled_from(
    [0, 1, -1, 2, True, False, 0.0, -0.0, 1.0, 0.5, 1e31, 10**31, 2**70, 2.0**70, 1e-320, float("inf")]
    + [1 + 0j, 1j, Decimal("0.5"), Decimal("0.1"), 0.1, Fraction(1, 2), Fraction(1, 10), Decimal(2)]
)  # fmt: skip
ATOMS = (
    NUMBERS | st.none() | st.sampled_from(["", "1", "None", "é\n", "[1]", b"1", bytearray(b"1")])
)
HASHABLE = NUMBERS | st.sampled_from([None, "1", b"1", (), (1,), (1.0,), frozenset({1})])
VALUES: st.SearchStrategy[Any] = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(HASHABLE, max_size=3)
        | st.frozensets(HASHABLE, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3)
    ),
    max_leaves=4,
)


@given(VALUES, VALUES)
@example([1], (1,))
@example(set(), {})
@example({1: 2, 2: 1}, {2: 1, 1: 2})
@example(0.1, Decimal("0.1"))
def test_texts_are_equal_if_and_only_if_values_are(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(one)
    assert (canonical(one) == canonical(other)) is (one == other)
    assert "\n" not in canonical(one)


class Sly(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class Own:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Sly(3), 3),
        ([Sly(3)], [3]),
        (Counter("aa"), {"a": 2}),
        (OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
        ({"a": 1}.keys(), {"a"}),
    ],
)
def test_of_a_subclass_the_base_counts(value: Any, plain: Any) -> None:
    assert canonical(value) == canonical(plain)


def test_what_is_no_plain_data_equals_nothing_plain() -> None:
    for value in (Own(), object(), deque([1]), iter([1]), range(1), int, lambda: 1):
        assert canonical(value).startswith("<")
        assert canonical([value]).startswith("[<")


def test_what_holds_itself_has_no_text() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        canonical(loop)
