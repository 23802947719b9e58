"""Official comparison rules of LiveCodeBench, and digests that agree with them.

Standard streams: the whole output and every line are stripped; the number of lines must agree;
a line must equal as text, or token by token as decimals (`1.0` = `1`, `1e3` = `1000`), exactly.
Values: `==` on JSON values, a tuple counting as a list; so `True` equals 1, and 1.0 equals 1.

Answers come from untrusted programs and may be megabytes long. What a comparison costs is bound
by what is expected: lines, brackets and sizes are counted first, then one token is read after
the other, and the first difference ends it. Numbers are never expanded. A digest reads at most
`WORK` lines and tokens of a stream's first `LONGEST_STREAM` characters, and JSON texts up to
`LONGEST_VALUE`; what lies beyond is hashed as it is written. Up to there two answers have the
same digest exactly if they are equal.
(NaN is the exception: it equals nothing, itself included, and has one digest.)
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import starmap, zip_longest
from operator import eq, methodcaller
from typing import Any

WORK = 1 << 15
"""Lines and tokens of a stream that its digest looks at one by one; integers cost nothing."""
LONGEST_STREAM = 1 << 21
"""Characters of a stream that its digest looks at."""
LONGEST_VALUE = 1 << 18
"""Characters up to which a JSON text is parsed for its digest."""
_BLOCK = 1 << 20
_TOKEN, _text = re.compile(r"\S+"), methodcaller("group")
_CANONICAL = r"(?:0|-?[1-9][0-9]{0,30})"
_IS_CANONICAL = re.compile(_CANONICAL).fullmatch
_INTEGERS = re.compile(rf"(?:{_CANONICAL}(?:\n|\Z| (?=[-0-9])))*+")
"""Lines that consist of canonical integers: in a digest they stand as they are."""
_MOST_ZEROS = 30
_LONG = 400
"""Digits from which an integer is read as a `Decimal`: in linear time, and equal to no float."""


# --- standard streams ------------------------------------------------------------------------


class ExpectedStream:
    """An expected output on standard streams.

    Attributes:
        text: the output.
    """

    def __init__(self, output: str) -> None:
        """Keep the output."""
        self.text = output

    @cached_property
    def digest(self) -> str:
        """Digest of the output."""
        return stream_digest(self.text)

    def same(self, text: str) -> bool:
        """Whether a program's output agrees."""
        return same_stream(text, self.text)


def same_stream(got: str, expected: str) -> bool:
    r"""Whether two outputs of a program on standard streams agree.

    >>> same_stream("1.50 2\n", "1.5 2.0"), same_stream("1\n2", "1 2")
    (True, False)
    """
    if got == expected:
        return True
    got, expected = got.strip(), expected.strip()
    if got.count("\n") != expected.count("\n"):
        return False
    return all(map(_same_line, got.split("\n"), expected.split("\n")))


def _same_line(got: str, expected: str) -> bool:
    if got == expected or got.strip() == expected.strip():
        return True
    try:
        return all(starmap(eq, zip_longest(_decimals(expected), _decimals(got))))
    except InvalidOperation:  # one token is no number
        return False


def _decimals(line: str) -> Iterator[Decimal]:
    return map(Decimal, _tokens(line))


def _tokens(line: str) -> Iterator[str]:
    """As `line.split()`, but one at a time."""
    return map(_text, _TOKEN.finditer(line))


def stream_digest(text: str) -> str:
    r"""Digest of an output on standard streams.

    >>> stream_digest("1e31 -0\n") == stream_digest("1" + "0" * 31 + "  0.0")
    True
    """
    return _digest(_normal_lines(text.strip()))


def _normal_lines(text: str) -> Iterator[str]:
    """A text that is equal for equal outputs, in pieces."""
    start, work = 0, WORK
    while start < min(len(text), LONGEST_STREAM) and work > 0:
        end = _end_of_integers(text, start)
        if end == start:
            end = text.find("\n", start) + 1 or len(text)
            line, cost = _normal_line(text[start:end].strip(), work)
            work -= cost
            yield line + "\n" * (text[end - 1] == "\n")
        else:
            yield text[start:end]
        start = end
    yield text[start:]


def _end_of_integers(text: str, start: int) -> int:
    """Where the complete lines of canonical integers end that begin at `start`."""
    match = _INTEGERS.match(text, start, start + LONGEST_STREAM)
    end = match.end() if match else start
    return end if end == len(text) else text.rfind("\n", start, end) + 1 or start


def _normal_line(line: str, work: int) -> tuple[str, int]:
    """The line with its numbers in one form, and how many tokens were looked at.

    A line that holds anything but numbers, or more than `work` of them, stays as it is.
    """
    numbers: list[str] = []
    try:
        for token in _tokens(line):
            if len(numbers) >= work:
                return line, work
            numbers.append(_normal_number(token))
    except InvalidOperation:
        return line, 1 + len(numbers)
    return " ".join(numbers), 1 + len(numbers)


def _normal_number(token: str) -> str:
    """One form for all ways to write a decimal number; its length does not grow.

    Raises:
        InvalidOperation: it is no number, or NaN.
    """
    if _IS_CANONICAL(token):
        return token
    value = Decimal(token)
    if not value.is_finite():
        if value.is_nan():
            raise InvalidOperation
        return str(value)
    mantissa, _, power = str(value).partition("E")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    if not kept:
        return "0"
    zeros = len(digits) - len(kept) - len(fraction) + int(power or 0)
    ending = "0" * zeros if 0 <= zeros <= _MOST_ZEROS else f"e{zeros}"
    return "-" * mantissa.startswith("-") + kept + ending


# --- values ----------------------------------------------------------------------------------


class ExpectedValue:
    """An expected JSON value, and what tells most answers without parsing them.

    Attributes:
        value: the value.
        text: how a worker writes an equal answer, most often; empty where that cannot be told.
    """

    def __init__(self, output: str) -> None:
        """Read the value.

        Raises:
            ValueError: the text is not JSON.
            RecursionError: it is nested too deeply.
        """
        self.value = read_value(output)
        self._length = len(output)
        self.text = _written(self.value)

    @cached_property
    def digest(self) -> str:
        """Digest of the value."""
        return _digest([self.text]) if _ONLY_INTEGERS(self.text) else value_digest(self.value)

    @cached_property
    def _bounds(self) -> tuple[int, tuple[int, ...]]:
        """The most characters, and the marks, of an equal answer."""
        text = json.dumps(self.value, default=lambda long: 0)
        marks = _marks(text)
        return max(len(text), self._length) + _LONG * (1 + sum(marks)), marks

    def same(self, text: str) -> bool:
        """Whether a worker's JSON text is an equal value.

        It costs more than counting only if as many values, nested in as many lists, are expected.

        Raises:
            ValueError: the text is not JSON.
            RecursionError: it is nested too deeply.
        """
        if text == self.text:
            return True
        most, marks = self._bounds
        if len(text) > most or _marks(text) != marks:
            return False
        return same_value(read_value(text), self.value)


def _written(value: Any) -> str:
    """A value as workers write it; empty for NaN, which equals nothing, and for long integers."""
    try:
        text = _ENCODER.encode(value)
    except TypeError:  # a `Decimal`
        return ""
    return "" if "NaN" in text else text


def _marks(text: str) -> tuple[int, ...]:
    """Numbers of brackets, separators and quotes: equal values have equal ones.

    Those inside of strings count on both sides: workers write equal strings in one way.
    """
    return tuple(map(text.count, '[{,:"'))


def read_value(text: str) -> Any:
    """A JSON value; very long integers become `Decimal`.

    Raises:
        ValueError: the text is not JSON.
        RecursionError: it is nested too deeply.
    """
    return (_SHORT if len(text) < _LONG else _ANY_LENGTH).decode(text)


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < _LONG else Decimal(text)


_SHORT = json.JSONDecoder(parse_constant=float)  # each NaN a new object
_ANY_LENGTH = json.JSONDecoder(parse_constant=float, parse_int=_integer)
_ENCODER = json.JSONEncoder(check_circular=False)
_ONLY_INTEGERS = re.compile(r"[-0-9, \[\]]+").fullmatch
"""Of texts that `_written` has made: their values are normal already."""


def same_value(got: Any, expected: Any) -> bool:
    """Whether two JSON values agree.

    >>> same_value([1, True], [1.0, 1]), same_value("1", 1)
    (True, False)
    """
    return bool(got == expected)


def text_digest(text: str) -> str:
    """Digest of a JSON text; of a long one, of how it is written.

    Raises:
        ValueError: the text is not JSON.
        RecursionError: it is nested too deeply.
    """
    return value_digest(read_value(text)) if len(text) <= LONGEST_VALUE else _digest([text])


def value_digest(value: Any) -> str:
    """Digest of a JSON value.

    >>> value_digest([1, True, {"a": 2.0}]) == value_digest([1.0, 1, {"a": 2}])
    True
    """
    long: list[str] = []

    def note(number: Decimal) -> float:
        long.append(f"\n{number:f}")
        return 0.0  # whole numbers are written as integers, so nothing else is written so

    text = json.dumps(_normal_value(value), sort_keys=True, default=note)
    return _digest([text, *long])


def _normal_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_normal_value(v) for v in value]
    if isinstance(value, dict):
        return {k: _normal_value(v) for k, v in value.items()}
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _digest(parts: Iterable[str]) -> str:
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        for start in range(0, len(part), _BLOCK):
            state.update(part[start : start + _BLOCK].encode("utf-8", "surrogatepass"))
    return state.hexdigest()
