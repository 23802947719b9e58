"""The tests of a problem: cases, and suites of them with their limits.

They are nouns as those of `records`, which passes them on.
"""

import base64
import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from funprm.errors import DataError

SuiteKind = Literal["stdin", "functional", "check", "unittest"]
Example = tuple[Any, Any]
"""A test as one types it: `(arguments, result)` of a function, `(input, output)` of a program."""

PACKED_FROM = 65_536
"""Characters of a suite's cases from which on they are packed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One test: input and expected output.

    For `stdin` suites both are the text of a stream. For `functional` suites `input` holds one
    JSON value per line (the arguments) and `output` one JSON value. `output` None means that
    nothing is compared: the case only asks what the program answers.
    """

    input: str
    output: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """The tests of a problem, of one kind, with their limits.

    kind `stdin`: the program reads standard input. `functional`: `entry_point` names a function,
    or a method of `class Solution`. `check`: `code` defines `check(candidate)`, called with
    `entry_point` (a name or an expression such as `Solution().f`). `unittest`: `code` defines
    `class TestCases(unittest.TestCase)`.
    """

    kind: SuiteKind
    cases: tuple[Case, ...] = ()
    packed: str = ""
    """In place of many cases: base64 of zlib of JSON, a list of [input, output]. Only the judge
    unpacks them; on disk and in memory a suite keeps to a fraction of its size."""
    entry_point: str = ""
    code: str = ""
    prelude: str = ""
    """Source placed before the program (imports in scope, a calibrated stub)."""
    seconds: float = 6.0
    """CPU limit per case, or of the whole suite for `check` and `unittest`."""
    memory_mb: int = 1024

    @classmethod
    def of(cls, tests: Iterable[Example], *, entry_point: str = "") -> "Suite":
        r"""A suite of tests as one types them.

        >>> Suite.of([((1, 2), 3)], entry_point="add").cases
        (Case(input='1\n2', output='3'),)

        Args:
            tests: arguments and result of a function, each anything that JSON can hold; without
                an entry point, texts of standard input and output.
            entry_point: name of the function or method.

        Raises:
            DataError: a test is no pair, or JSON would not give a value back as it is.
        """
        make = _call if entry_point else _streams
        cases = tuple(make(test) for test in map(_pair, tests))
        kind: SuiteKind = "functional" if entry_point else "stdin"
        return cls(kind=kind, cases=cases, entry_point=entry_point)

    @property
    def has_tests(self) -> bool:
        """Whether there is anything to judge a program by."""
        return bool(self.cases or self.packed or self.code)

    def compact(self) -> "Suite":
        """The suite with its cases packed, if they are large; else as it is."""
        size = sum(len(case.input) + len(case.output or "") for case in self.cases)
        if size < PACKED_FROM:
            return self
        text = json.dumps([[case.input, case.output] for case in self.cases])
        packed = base64.b64encode(zlib.compress(text.encode(), level=1)).decode()
        return replace(self, cases=(), packed=packed)

    def unpacked(self) -> "Suite":
        """The suite with its cases to hand.

        >>> suite = Suite(kind="stdin", cases=(Case(input="1" * PACKED_FROM, output="2"),))
        >>> suite.compact().cases, suite.compact().unpacked() == suite
        ((), True)
        """
        if not self.packed:
            return self
        rows = json.loads(zlib.decompress(base64.b64decode(self.packed)))
        cases = tuple(Case(input=given, output=output) for given, output in rows)
        return replace(self, cases=cases, packed="")


def _pair(test: Example) -> Example:
    if isinstance(test, tuple | list) and len(test) == 2:
        return test[0], test[1]
    raise DataError(
        f"the test {test!r} is no pair: expected (arguments, result), such as ((1, 2), 3), or "
        "without an entry point (input, output)"
    )


def _streams(test: Example) -> Case:
    for text in test:
        if not isinstance(text, str):
            raise DataError(
                f"the test {test!r}: {text!r} is no text; without `entry_point` programs read and "
                "print text"
            )
    return Case(input=test[0], output=test[1])


def _call(test: Example) -> Case:
    arguments, result = test
    if not isinstance(arguments, tuple | list):
        raise DataError(
            f"the test {test!r}: {arguments!r} is no list of arguments; for a single one write "
            f"({arguments!r},)"
        )
    given = "\n".join(_encoded(value, test, tuples=False) for value in arguments)
    return Case(input=given, output=_encoded(result, test, tuples=True))


def _encoded(value: Any, test: Example, *, tuples: bool) -> str:  # noqa: ANN401  (any value)
    """A value as JSON; results may hold tuples, since these are compared as lists."""
    if not _is_json(value, tuples=tuples):
        raise DataError(
            f"the test {test!r}: {value!r} cannot be written as JSON and read back as it is; use "
            'lists for tuples and sets, or Suite(kind="check", code=...)'
        )
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_json(value: Any, *, tuples: bool) -> bool:  # noqa: ANN401
    if isinstance(value, dict):
        named = all(isinstance(key, str) for key in value)
        return named and all(_is_json(item, tuples=tuples) for item in value.values())
    if isinstance(value, list) or (tuples and isinstance(value, tuple)):
        return all(_is_json(item, tuples=tuples) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)
