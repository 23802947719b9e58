"""Values that travel between tests and program: what arrives is equal, and nothing else happens."""

import datetime
import json
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funprm.executors.inside.changes import Snapshot
from funprm.executors.inside.plain_data import (
    NotPlainError,
    Reader,
    Row,
    UnreadableError,
    Writer,
    classes_of,
)


class Node:
    def __init__(self, value: Any, next: Any = None) -> None:
        self.value, self.next = value, next


class Slotted:
    __slots__ = ("one", "two")
    one: Any
    two: Any


class Point(NamedTuple):
    x: int
    y: int


class Colour(Enum):
    RED = 1


CLASSES: dict[str, type] = {"Node": Node, "Slotted": Slotted, "Point": Point, "Colour": Colour}


def refuse(writer: Writer, value: Any) -> Row:
    raise NotPlainError(type(value).__name__)


def unknown(row: Row) -> Any:
    raise ValueError(row)


def there(value: Any) -> Any:
    table = Writer(CLASSES, refuse).table([value])
    (read,) = Reader(json.loads(json.dumps(table)), CLASSES, unknown).values
    return read


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.complex_numbers(
    allow_nan=False) | st.text() | st.binary() | st.decimals(allow_nan=False) | st.fractions()
    | st.datetimes() | st.dates() | st.times() | st.timedeltas()
)  # fmt: skip
HASHABLE = st.recursive(
    SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.sets(HASHABLE, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3)
        | st.builds(deque, st.lists(inner, max_size=2), st.sampled_from([None, 2]))
    ),
    max_leaves=8,
)


def same_types(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple | deque):
        parts = all(map(same_types, one, other))
    elif isinstance(one, dict):
        parts = all(map(same_types, one.values(), other.values()))
    else:
        parts = True
    return type(one) is type(other) and parts


@given(VALUES)
def test_what_arrives_is_equal_and_of_the_same_types(value: Any) -> None:
    read = there(value)
    assert read == value
    assert same_types(read, value)


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        -0.0,
        10**4000,
        Counter("aab"),
        OrderedDict(b=1, a=2),
        defaultdict(int, {"a": 1}),
        {1: "a", (2, 3): "b", None: "c", "1": "d"},
        range(0, 10**30, 7),
        bytearray(b"\xff\x00"),
        Point(1, 2),
        Colour.RED,
        int,
        {"k": 1}.keys(),
        Decimal("1e999999999"),
        Fraction(10**4000, 3),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001
    ],
    ids=lambda value: type(value).__name__,
)
def test_special_values_arrive(value: Any) -> None:
    assert there(value) == value
    assert type(there(value)) is type(value)


def test_nan_and_maxlen_and_default_factories_arrive() -> None:
    assert there(float("nan")) != there(float("nan"))
    assert there(deque([1, 2, 3], maxlen=3)).maxlen == 3
    assert there(defaultdict(list))["new"] == []


def test_shared_parts_stay_shared_and_cycles_close() -> None:
    row = [1]
    rows: list[Any] = [row, row]
    rows.append(rows)
    read = there(rows)
    assert read[0] is read[1]
    assert read[2] is read
    deep: Any = ()
    for _ in range(100_000):
        deep = (deep,)
    read = there(deep)
    for _ in range(100_000):
        (read,) = read
    assert read == ()


def test_instances_of_the_preludes_classes_arrive() -> None:
    last = Node(2)
    first = Node(1, last)
    last.next = first
    read = there(first)
    assert type(read) is Node
    assert (read.value, read.next.value, read.next.next) == (1, 2, read)
    slotted = Slotted()
    slotted.two = [2]
    assert there(slotted).two == [2]
    assert not hasattr(there(slotted), "one")


def test_a_chain_may_be_long() -> None:
    chain = None
    for number in range(50_000):
        chain = Node(number, chain)
    read = there(chain)
    assert (read.value, read.next.value) == (49_999, 49_998)


class Sly(list[Any]):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None


class SlyInt(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize(
    ("value", "plain"), [(Sly([1]), [1]), (SlyInt(3), 3), ([SlyInt(3)], [3]), (Sly(), [])]
)
def test_subclasses_arrive_as_their_base(value: Any, plain: Any) -> None:
    assert there(value) == plain
    assert there(value) != "anything"
    assert type(there(value)) is type(plain)


def test_what_is_no_plain_data_is_refused() -> None:
    for value in (lambda: 0, object(), [object()], iter(()), Exception()):
        with pytest.raises(NotPlainError):
            there(value)


def test_changes_come_back_to_the_same_objects() -> None:
    inner: list[Any] = [1]
    given_: list[Any] = [
        [inner, inner],
        {"a": inner},
        {3},
        Node(1),
        deque([1], maxlen=2),
        "text",
        (1, [2]),
    ]
    ask = Writer(CLASSES, refuse)
    call = Reader(ask.table(given_), CLASSES, unknown)
    before = Snapshot(call.mutable())
    assert before.changed() == []
    rows, table, numbers, node, last, _, pair = call.values
    rows[0].append(rows)
    rows.pop()
    table["b"] = table.pop("a")
    numbers |= {4}
    node.next = node
    last.append(7)
    pair[1].clear()
    answer = Writer(CLASSES, refuse, call.objects)
    table = answer.table([[rows[0], "new"]], before.changed())
    (value,) = Reader(json.loads(json.dumps(table)), CLASSES, unknown, ask.objects).values
    assert value == [inner, "new"]
    assert value[0] is inner
    assert inner[0] == 1
    assert inner[1] is given_[0]
    assert len(given_[0]) == 1
    assert given_[1] == {"b": inner}
    assert given_[2] == {3, 4}
    assert given_[3].next is given_[3]
    assert list(given_[4]) == [1, 7]
    assert given_[6] == (1, [])


MADE_UP: list[Any] = [
    1,
    [],
    [[[0]], [], []],
    [[[-1]], [], []],
    [[[0, 1]], [["list"]], []],
    [[[0]], [["tuple", [0]]], []],
    [[[0]], [["frozenset", [1]], ["list", [0]]], []],
    [[[0]], [["tuple", [1]], ["tuple", [0]]], []],
    [[[0]], [["instance", "str", []]], []],
    [[[0]], [["instance", "Node", ["value"]]], []],
    [[[0]], [["instance", "Node", ["__class__"], 1]], []],
    [[[0]], [["member", "Colour", "BLUE"]], []],
    [[[0]], [["type", "len"]], []],
    [[[0]], [["function", "os", "system"]], []],
    [[[0]], [["kept", 0]], []],
    [[[0]], [["dict", 1]], []],
    [[[0]], [["dict", [1], 2], ["list"]], []],
    [[[0]], [["array", "|O", [1], "12345678"]], []],
    [[[0]], [[]], []],
    [[[0]], [[{}]], []],
    [[], [], [[0, ["list", 1]]]],
]


@pytest.mark.parametrize("made_up", MADE_UP, ids=json.dumps)
def test_what_is_no_message_is_refused(made_up: Any) -> None:
    with pytest.raises(UnreadableError):
        Reader(made_up, CLASSES, unknown)


JSON = st.recursive(
    st.none()
    | st.integers(-3, 3)
    | st.sampled_from("list tuple dict set instance Node kept".split()),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.lists(st.lists(JSON, max_size=4), max_size=4), JSON)
def test_data_that_are_no_table_are_refused(roots: Any, rows: Any, changes: Any) -> None:
    try:
        Reader([roots, rows, changes], CLASSES, unknown)
    except UnreadableError:
        pass


def test_classes_of_a_prelude() -> None:
    namespace: dict[str, Any] = {"__name__": "solution"}
    exec("from collections import Counter\nclass Node: pass\nn = Node()", namespace)
    assert set(classes_of(namespace)) == {"Node"}
