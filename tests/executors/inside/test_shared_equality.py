"""Which answers bring their own idea of equality."""

import dataclasses
import sys
import types
from collections import Counter, namedtuple
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from funprm.executors.inside.shared_equality import own_equality

PROGRAM = """
class E:
    def __eq__(s, o): return True
    __hash__ = object.__hash__
class I(int):
    def __eq__(s, o): return True
    __hash__ = int.__hash__
class M(type):
    __flags__ = 0
class Sly(metaclass=M):
    def __eq__(s, o): return True
    __hash__ = object.__hash__
class Plain: pass
class Sub(list): pass
"""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = types.ModuleType("__test__")
    monkeypatch.setitem(sys.modules, "__test__", module)
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec(PROGRAM, module.__dict__)
    return module.__dict__


def nobody(owner: type) -> bool:
    return False


def test_own_classes_are_found_wherever_they_are(program: dict[str, Any]) -> None:
    for name in ("E", "I", "Sly"):
        value = program[name]()
        for answer in (value, [value], (1, {"a": [value]}), {value}, {value: 1}):
            assert own_equality(answer, nobody) == {program[name]}
            assert own_equality(answer, {program[name]}.__contains__) == frozenset()


def test_all_else_is_plain(program: dict[str, Any]) -> None:
    made = dataclasses.make_dataclass("made", ["x"], eq=False)
    pair: Any = namedtuple("pair", "a b")
    values = (
        program["Plain"](),
        program["Sub"]([1]),
        Counter("a"),
        Decimal(1),
        pair(1, 2),
        made(1),
    )
    for value in (*values, mock.ANY, [[1.5, "a"], None], types, len):
        assert own_equality(value, nobody) == frozenset()
