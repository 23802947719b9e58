"""How answers of functions are written, for the host to compare. Standard library only."""

from __future__ import annotations

import json
import sys
from typing import Any

MOST_DIGITS = 50_000
"""Of integers that programs print or read, as officially."""


class OpaqueError(Exception):
    """A value that JSON cannot hold, so that it equals no expected value."""


# The C encoder, called directly: quick, and no concern of who patches the json module.
_encode_parts = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, lambda value: _plain(value), json.encoder.encode_basestring_ascii, None, ": ", ", ",
    False, False, True,
)  # fmt: skip


def _dumps(value: Any) -> str:
    return "".join(_encode_parts(value, 0))


def encode(value: Any, compat: bool) -> str:
    """The value as JSON.

    Args:
        value: what a function gave.
        compat: tuples inside of values are no lists.

    Raises:
        OpaqueError: JSON cannot hold it.
    """
    try:
        text = _dumps(value)
    except (ValueError, TypeError) as error:
        text = _encode_again(value, error)
    if ("{" in text and not _string_keys(value)) or (compat and _nested_tuple(value)):
        raise OpaqueError(_excerpt(value))
    return text


def _encode_again(value: Any, error: Exception) -> str:
    if isinstance(error, TypeError):  # a key that is no JSON key
        raise OpaqueError(_excerpt(value)) from None
    if "digits" not in str(error):
        raise error
    sys.set_int_max_str_digits(0)
    try:
        return _dumps(value)
    finally:
        sys.set_int_max_str_digits(MOST_DIGITS)


def _plain(value: Any) -> Any:
    """A number of another library as the equal JSON number."""
    name = type(value).__module__.partition(".")[0]
    if name == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    if name in ("decimal", "fractions"):
        for kind in (int, float):
            if kind(value) == value:
                return kind(value)
    raise OpaqueError(_excerpt(value))


def _excerpt(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"[:1000]


def _string_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _string_keys(v) for k, v in value.items())
    return not isinstance(value, list | tuple) or all(map(_string_keys, value))


def _nested_tuple(value: Any, top: bool = True) -> bool:
    if isinstance(value, tuple) and not top:
        return True
    parts = value.values() if isinstance(value, dict) else value
    return isinstance(value, list | tuple | dict) and any(_nested_tuple(v, False) for v in parts)
