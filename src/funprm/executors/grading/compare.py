"""Official comparison rules of LiveCodeBench, and digests that agree with them.

Standard streams: the whole output and every line are stripped; the number of lines must agree;
a line must equal as text, or token by token as decimals (`1.0` = `1`, `1e3` = `1000`), exactly.
Values: `==` on JSON values, a tuple counting as a list; so `True` equals 1, and 1.0 equals 1.
Two outputs that are equal by these rules have the same digest.
"""

import hashlib
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_LONG = 4000
"""Digits up to which Python converts an integer without being told to."""


def stripped_lines(text: str) -> list[str]:
    """The lines of a stream, with white space stripped from the whole and from each."""
    return [line.strip() for line in text.strip().split("\n")]


def same_stream(got: str, expected: str) -> bool:
    r"""Whether two outputs of a program on standard streams agree.

    >>> same_stream("1.50 2\n", "1.5 2.0"), same_stream("1\n2", "1 2")
    (True, False)
    """
    if got == expected:
        return True
    ours, theirs = stripped_lines(got), stripped_lines(expected)
    return len(ours) == len(theirs) and all(map(_same_line, ours, theirs))


def _same_line(got: str, expected: str) -> bool:
    if got == expected:
        return True
    try:
        return _decimals(got) == _decimals(expected)
    except InvalidOperation:
        return False


def _decimals(line: str) -> list[Decimal]:
    return [Decimal(token) for token in line.split()]


def stream_digest(text: str) -> str:
    """Digest of an output on standard streams."""
    return _digest("\n".join(map(_normal_line, stripped_lines(text))))


def _normal_line(line: str) -> str:
    try:
        return " ".join(map(_normal_token, line.split()))
    except InvalidOperation:
        return line


def _normal_token(token: str) -> str:
    if _INTEGER.fullmatch(token):
        return token
    value = Decimal(token)
    if not value.is_finite():
        raise InvalidOperation
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    exponent += len(text) - len(kept)
    if not kept:
        return "0"
    if 0 <= exponent <= 30:
        kept, exponent = kept + "0" * exponent, 0
    return "-" * sign + kept + (f"e{exponent}" if exponent else "")


def read_value(text: str) -> Any:
    """A JSON value; integers too long for Python's default limit become tagged text.

    Raises:
        ValueError: the text is not JSON.
    """
    return json.loads(text, parse_int=_integer)


def _integer(text: str) -> Any:
    return int(text) if len(text) < _LONG else ("integer", text)


def same_value(got: Any, expected: Any) -> bool:
    """Whether two JSON values agree.

    >>> same_value([1, True], [1.0, 1]), same_value("1", 1)
    (True, False)
    """
    return bool(got == expected)


def value_digest(value: Any) -> str:
    """Digest of a JSON value."""
    return _digest(json.dumps(_normal_value(value), sort_keys=True))


def _normal_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_normal_value(v) for v in value]
    if isinstance(value, dict):
        return {k: _normal_value(v) for k, v in value.items()}
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
