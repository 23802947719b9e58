import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.datasets._docstring_examples import example_inputs, examples, to_json
from funprm.datasets._probes import probe_cases
from funprm.datasets._split import Fractions, assign
from funprm.errors import ConfigError
from funprm.python_source import expression, functions, parsed


def found(text: str, *parameters: str) -> list[tuple[str, str | None]]:
    return [(case.input, case.output) for case in examples(text, "f", parameters)]


@pytest.mark.parametrize(
    "text",
    [
        ">>> f(1)\n2",
        ">>> f(1)\n    2\n\n    3",
        "f(1) == 2",
        "f(1) => 2, because",
        "f(1) ==> 2.",
        "f(1)-> 2 # one more",
        "f(1) ➞ 2 (two)",
        "f(1) → 2;",
        "f(1) = 2",
        "f(1) returns 2",
        "f(1) should return 2",
        "f(1)   # returns 2",
        "f(1) # => 2",
        "f(1) -> 3 - 1 = 2",
        ">>> f(1) == 2",
        "For x = 1 the output should be 2.",
        "for x = 1, the result is 2",
        "Input: 1\n    Output: 2\n",
        "Input: x = 1\nOutput: 2",
        "g(f(1)) == 5\nf(1) == 2\nf(1) == 3",
    ],
)
def test_notations(text: str) -> None:
    assert found(text, "x") == [("1", "2")]


@pytest.mark.parametrize(
    "text",
    [
        "f(a) => 2",
        "f(1)",
        "f(1) is fine",
        "f(1) == a",
        "f(1) -> 3 - 1",
        ">>> f(1)\n>>> f(2)",
        ">>> f(1)\n\n2",
        "round(f(1), 2) == 2",
        "of(1) == 2",
        "o.f(1) == 2",
        "f(1) == {1, 2}",
        "f((1, 2)) == 3",
        "f({1: 2}) == 3",
        "f(b'a') == 3",
        "f(1e999) == 3",
        "f() == 3",
        "f(1, x=2) == 3",
        "f(y=1) == 3",
        "f(1 == 2",
        "For y = 1 the output should be 2",
        "",
    ],
)
def test_what_is_no_example(text: str) -> None:
    assert found(text, "x") == []


def test_values() -> None:
    text = (
        "f('a(b)', [1,\n 2]) == [(1, 'é'),\n  None]\nf(True, -1.5) => true\n"
        "f(y={'a': 1}, x=0) == 0\nf(x=0, y={'a': 1}) == None\n"
    )
    assert found(text, "x", "y") == [
        ('"a(b)"\n[1, 2]', '[[1, "é"], null]'),
        ("true\n-1.5", "true"),
        ('0\n{"a": 1}', "null"),
    ]
    assert example_inputs("round(f([1]), 2)\nf(a)\nf(x=1)", "f") == (([1],),)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("f(1)[] ='\"\\,->#\n\0x")))
def test_any_text_is_read(text: str) -> None:
    for case_input, output in found(text, "x"):
        assert all(json.loads(line) is not Ellipsis for line in case_input.split("\n"))
        assert output is not None
        json.loads(output)
    parsed(text), expression(text), functions(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


def shape(value: object) -> object:
    return type(value).__name__


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(json_values, min_size=1, max_size=3), st.integers(0, 8))
def test_probes_are_distinct_json_of_the_same_types(arguments: list[object], count: int) -> None:
    cases = probe_cases([arguments], count, "seed")
    assert cases == probe_cases([arguments], count, "seed")
    assert len({case.input for case in cases}) == len(cases) <= count
    for case in cases:
        values = [json.loads(line) for line in case.input.split("\n")]
        assert list(map(shape, values)) == list(map(shape, arguments))
    if cases:
        assert cases[0].input == "\n".join(to_json(value) or "" for value in arguments)


def test_inputs_that_json_cannot_hold_give_no_probes() -> None:
    assert probe_cases([[(1, 2)], [{1}]], 5, "") == ()
    assert probe_cases([], 5, "") == ()
    assert probe_cases([["a" * 3_000]], 5, "") == ()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(), st.floats(0, 0.4), st.floats(0, 0.3), st.integers(0, 3))
def test_a_larger_share_only_adds_problems(name: str, share: float, more: float, seed: int) -> None:
    small = assign(name, Fractions(train=share, seed=seed))
    large = assign(name, Fractions(train=share + more, seed=seed))
    assert small != "train" or large == "train"
    assert assign(name, "meta") == "meta"
    assert assign(name, Fractions(train=1.0)) == "train"
    assert assign(name, Fractions(rest="validation")) == "validation"


@pytest.mark.parametrize("shares", [{"train": -0.1}, {"train": 0.7, "meta": 0.4}, {"meta": 1.1}])
def test_shares_are_checked(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected numbers from 0 to 1"):
        Fractions(**shares)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown split 'tset': did you mean 'test'"):
        Fractions(rest="tset")  # type: ignore[arg-type]
