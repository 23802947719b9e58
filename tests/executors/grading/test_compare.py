"""Comparison and digests: the official rules, their agreement, and what an answer may cost."""

import json
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from funprm.executors.grading import compare
from funprm.executors.grading.compare import (
    ExpectedValue,
    read_value,
    same_stream,
    same_value,
    stream_digest,
    text_digest,
    value_digest,
)

SPACES = st.sampled_from([" ", "  ", "\t", "\x1f", "\xa0", "\r"])
DIGITS = "0 1 10 12 100 5000 007 1_000 ٣".split()
TOKENS = st.one_of(
    st.integers(-20, 20).map(str),
    st.builds(lambda s, n, z, e: f"{s}{n}{'0' * z}{e}", *(st.sampled_from(x) for x in (
        ["", "-", "+"], DIGITS, [0, 1, 29, 30, 31, 32, 60], ["", ".", ".0", "e1", "E-1", "e30"],
    ))),
    st.sampled_from("nan -nan sNaN inf Infinity -inf a b 1e 1e999999999 1.e2 .5 -.5 --1 e5 ½".split()),
)  # fmt: skip
LINES = st.lists(st.tuples(TOKENS, SPACES), max_size=3).map(lambda t: "".join(map("".join, t)))
STREAMS = st.lists(LINES, max_size=3).map("\n".join)


def officially_equal(got: str, expected: str) -> bool:
    """The rules as they are stated, without a thought to cost."""
    lines = [[line.strip() for line in text.strip().split("\n")] for text in (got, expected)]
    return len(lines[0]) == len(lines[1]) and all(map(equal_lines, *lines))


def equal_lines(got: str, expected: str) -> bool:
    try:
        return got == expected or [Decimal(t) for t in got.split()] == [
            Decimal(t) for t in expected.split()
        ]
    except InvalidOperation:
        return False


def same_meaning(text: str) -> list[str]:
    """Other ways to write a stream, most of them equal."""
    more = text.replace(" ", "  ").replace("\n", " \n")
    return [more, text.replace("10", "1e1"), text.replace(".0", "."), text.replace("-0", "0")]


@given(STREAMS, STREAMS)
@example("1" + "0" * 31, "1e31")
@example("1e999999999", "10e999999998")
@example("-0", "0.0")
@example("nan 1", "nan 1.0")
@example("inf 1", "Infinity 1.0")
@example("a 1.0", "a 1")
@example("1 2 ", "1\n2")
def test_streams_are_equal_officially_and_then_have_one_digest(one: str, other: str) -> None:
    for got in (other, *same_meaning(one)):
        equal = officially_equal(got, one)
        assert same_stream(got, one) is same_stream(one, got) is equal
        assert (stream_digest(got) == stream_digest(one)) is equal


NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 1e31, 10**31, 10**400, 10**400 + 1, -(10**4000), 2.0**70, 2**70]),
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    NUMBERS | st.none() | st.sampled_from(["", "1", "é", '"', "[1, 2]", "\ud800", ", "]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=5,
)


def as_written(value: Any) -> Any:
    """An equal value that is written differently."""
    if isinstance(value, list):
        return [as_written(v) for v in value]
    if isinstance(value, dict):
        return {k: as_written(v) for k, v in reversed(value.items())}
    if isinstance(value, bool | int) and abs(value) < 2**53:
        return float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


@given(VALUES, VALUES)
@example(1e31, 10**31)
@example([10**400, 0.0], [0.0, 10**400])
@example([[]], [{}])
def test_values_are_equal_and_then_have_one_digest(one: Any, other: Any) -> None:
    expected = ExpectedValue(json.dumps(one))
    for value in (one, other, as_written(one)):
        text = json.dumps(value)
        equal = bool(value == one)
        assert expected.same(text) is equal
        assert same_value(read_value(text), expected.value) is equal
        assert (text_digest(text) == expected.digest == value_digest(expected.value)) is equal


def test_nan_equals_nothing_but_infinity_itself() -> None:
    assert not ExpectedValue("[NaN]").same("[NaN]")
    assert ExpectedValue("[-Infinity]").same("[-Infinity]")
    assert not ExpectedValue("1" + "0" * 500).same("Infinity")


@pytest.mark.parametrize("digits", [399, 400, 4299, 5000, 50_000])
def test_long_integers_are_read_in_linear_time_and_compared_exactly(digits: int) -> None:
    text = "9" * digits
    assert ExpectedValue(text).same(text)
    assert ExpectedValue(f"[{text}, 1]").same(f"[{text}, 1.0]")
    assert not ExpectedValue(text).same("9" * (digits - 1) + "8")
    assert not ExpectedValue(text).same("0")
    assert same_stream(text, f"{text}.0")
    assert len({text_digest(text), text_digest("8" + text[1:])}) == 2


class Counted(Decimal):
    """A decimal that counts how often one is made."""

    made = 0

    def __new__(cls, value: Any = "0") -> "Counted":
        Counted.made += 1
        return super().__new__(cls, value)


HOSTILE = {
    "tokens": "01 " * (1 << 19),
    "lines": "1.0\n" * (1 << 19),
    "one number": "0" + "1" * (1 << 20),
    "exponent": "1e999999999999999999",
    "blank lines": "1" + "\n" * (1 << 20) + "1",
    "words": "aa\n" * (1 << 19),
    "mixed": "1 a\n" * (1 << 19),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("expected", ["2", "1 2", "1\n1\n3", "1.0 " * 20])
def test_a_comparison_reads_no_more_tokens_than_are_expected(
    name: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "Decimal", Counted)
    Counted.made = 0
    assert not same_stream(HOSTILE[name], expected)
    assert Counted.made <= 2 * (len(expected.split()) + 1)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_digest_of_a_stream_reads_a_bounded_number_of_tokens(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "Decimal", Counted)
    Counted.made = 0
    assert stream_digest(HOSTILE[name]) != stream_digest(HOSTILE[name] + "2")
    assert Counted.made <= 2 * compare.WORK + 2


def test_lines_of_integers_cost_a_digest_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "Decimal", Counted)
    Counted.made = 0
    rows = "\n".join(" ".join(map(str, range(n, n + 50))) for n in range(2000))
    assert stream_digest(rows) == stream_digest(f"{rows}\n") != stream_digest(rows[:-1])
    assert Counted.made == 0


NESTED = {
    "lists": "[" + "[]," * (1 << 20) + "1]",
    "floats": "[" + "1e5," * (1 << 20) + "1]",
    "deep": "[" * (1 << 20),
    "deep objects": '{"a":' * 900 + "1" + "}" * 900,
    "one string": '"' + "a" * (1 << 20) + '"',
    "one number": "1" * (1 << 20),
}


@pytest.mark.parametrize("name", NESTED)
def test_long_values_are_not_parsed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    read = compare.read_value

    def noted(text: str) -> Any:
        parsed.append(len(text))
        return read(text)

    monkeypatch.setattr(compare, "read_value", noted)
    expected = ExpectedValue("[1, 2]")
    parsed.clear()
    assert not expected.same(NESTED[name])
    assert parsed == []
    if len(NESTED[name]) > compare.LONGEST_VALUE:
        assert text_digest(NESTED[name])
        assert parsed == []


@given(st.integers(-(10**40), 10**40), st.integers(0, 45), st.integers(-45, 45))
def test_digests_know_no_way_of_writing(number: int, zeros: int, power: int) -> None:
    value = Fraction(number) * Fraction(10) ** power
    texts = [
        f"{number}e{power}",
        f"{number}.{'0' * zeros}E{power}",
        f"{number}{'0' * zeros}e{power - zeros}",
    ]
    if value.denominator == 1:
        texts.append(str(value.numerator))
    assert len(set(map(stream_digest, texts))) == 1
