"""Plain values as text: two values that are equal in Python have the same text, others do not.

So answers can be compared outside of the sandbox without being read there. Standard library only.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from json.encoder import encode_basestring_ascii
from typing import Any

_KEYS: type = type({}.keys())
_BASES: tuple[Any, ...] = (
    *(int, float, complex, str, bytes, bytearray),
    *(list, tuple, dict, set, frozenset, Decimal, Fraction),
)


def canonical(value: Any) -> str:
    """The text of a value, in one line.

    Numbers are equal whatever their type, byte strings and sets likewise; lists and tuples differ.
    Of a subclass the base counts. What is no plain data has a text that equals no other kind's.

    >>> canonical([1.0, True, (2,), {"b": {3}, "a": 0.5}])
    '[1,1,(2),{"a":0.5,"b":set{3}}]'

    Raises:
        RecursionError: it is nested too deeply, or holds itself.
    """
    kind = type(value)
    if kind is int or kind is bool:
        return str(int(value))
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is list:
        return f"[{_parts(value)}]"
    if kind is tuple:
        return f"({_parts(value)})"
    if kind is dict:
        items = [f"{canonical(k)}:{canonical(v)}" for k, v in value.items()]
        return "{" + ",".join(sorted(items)) + "}"
    return _number(value, kind) or _rare(value, kind)


def _parts(values: Any) -> str:
    if {int}.issuperset(map(type, values)):
        return ",".join(map(str, values))
    return ",".join([canonical(v) for v in values])


def _number(value: Any, kind: type) -> str:
    """The text of a number; empty for all else."""
    if kind is float:
        return str(int(value)) if value.is_integer() else repr(value)
    if kind is complex:
        real = canonical(value.real)
        return f"{real}+{canonical(value.imag)}j" if value.imag else real
    if kind is Decimal and not value.is_finite():
        return canonical(float(value)) if value.is_infinite() else "nan"
    if kind in (Decimal, Fraction):
        whole, near = int(value), float(value)
        if whole == value or near == value:
            return str(whole) if whole == value else repr(near)
        return "{}/{}".format(*value.as_integer_ratio())
    return ""


def _rare(value: Any, kind: type) -> str:
    if kind in (set, frozenset, _KEYS):
        return "set{" + ",".join(sorted([canonical(v) for v in value])) + "}"
    if kind in (bytes, bytearray):
        return repr(bytes(value))
    if value is None:
        return "None"
    if str(kind.__module__).partition(".")[0] == "numpy" and getattr(value, "shape", 0) == ():
        return canonical(value.item())
    for base in _BASES:
        if isinstance(value, base):
            return canonical(base(value))
    return f"<{encode_basestring_ascii(kind.__name__)}>"
