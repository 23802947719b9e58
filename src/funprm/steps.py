"""Programs to steps: each function closes one (arXiv 2601.22249, section 3.1).

The steps of a program partition its text. A step is closed by every function that stands at
module level (also inside a top-level `if` or `try`) and by every method of a class that does.
What precedes a function since the last step (imports, constants, a class header, decorators,
comments, blank lines) belongs to the function's step; what follows the last function belongs to
the last step. Functions and classes inside a function, and classes inside a class, close nothing.

`def` and `class` are reserved words: outside strings and comments, a line that begins with one is
a definition, in whatever state the rest of the text is. So one scan from left to right over
strings, brackets and indentation finds every definition, also in text with syntax errors, prose or
Markdown fences around it, or an end cut off. And because no later text changes what the scan has
seen, the steps of a prefix are the steps of the whole: for every step i,
`find_steps(code[: ends[i]])[0] == ends[: i + 1]` (without a cap).
"""

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from funprm.errors import ConfigError

STEP_RULE = 1
"""Version of the rule above; raised when the same text would have other steps."""


def find_steps(code: str, *, max_steps: int = 0) -> tuple[tuple[int, ...], tuple[str, ...]]:
    r"""Where the steps of a program end, and the names of their functions.

    >>> find_steps("import sys\n\ndef f():\n    pass\n\nclass A:\n    def g(self): pass\n")
    ((30, 62), ('f', 'A.g'))
    >>> find_steps("print(1)\n")
    ((9,), ('',))

    Args:
        code: any text; nothing is assumed of it.
        max_steps: at most so many steps (0: no limit). Neighbours with the shortest text together
            are merged until the number is reached; the name of a merged step is "f+g".

    Returns:
        The ends, in characters, strictly increasing up to `len(code)`, and one name per step:
        "f", "A.f", or "" for a text without a function, which is one step (so is the empty text).

    Raises:
        ConfigError: `max_steps` is negative.
    """
    if max_steps < 0:
        raise ConfigError(f"max_steps is {max_steps}: expected 0 (no limit) or a positive number")
    scan = _Scan()
    for start, line in _logical_lines(_skeleton(code)):
        scan.read(start, line)
    ends, names = [*scan.ends[:-1], len(code)], scan.names or [""]
    if max_steps and len(ends) > max_steps:
        return _merge(ends, names, max_steps)
    return tuple(ends), tuple(names)


def opening_lines(code: str) -> tuple[int, ...]:
    r"""Where the lines end that open the steps' functions; of the last one, as far as it is there.

    With such a line it is certain that the step before is over, whatever follows.

    >>> opening_lines("import sys\n\ndef f():\n    pass\n\n\ndef g")
    (21, 37)

    Args:
        code: any text.

    Returns:
        Ends in characters, line breaks included, one per function that closes a step.
    """
    scan = _Scan()
    for start, line in _logical_lines(_skeleton(code)):
        scan.read(start, line)
    return tuple(scan.openings)


def step_texts(code: str, ends: tuple[int, ...]) -> tuple[str, ...]:
    """The texts of the steps; joined, they are the program.

    >>> step_texts("abcde", (2, 5))
    ('ab', 'cde')
    """
    return tuple(code[start:end] for start, end in pairwise((0, *ends)))


def blank_lines_after(prefix: str) -> str:
    r"""The blank lines that follow a program's function, as programs are usually laid out.

    >>> blank_lines_after("def f():\n    pass\n")
    '\n\n'
    >>> blank_lines_after("class A:\n    def f(self):\n        pass\n")
    '\n'

    Args:
        prefix: a program up to the end of a step.

    Returns:
        Line breaks: two after a function, one after a method, none where no function was closed.
    """
    name = find_steps(prefix)[1][-1]
    if not name or not prefix.endswith("\n"):
        return ""
    return "\n" if "." in name else "\n\n"


_OPAQUE = re.compile(
    r'''
    (?P<text> """ (?: [^"\\]++ | \\.? | "(?!"") )*+ (?:""")?+
            | \'\'\' (?: [^'\\]++ | \\.? | '(?!\'\') )*+ (?:\'\'\')?+
            | " (?: [^"\\\n]++ | \\(?:\r\n|.)? )*+ "?+
            | ' (?: [^'\\\n]++ | \\(?:\r\n|.)? )*+ '?+ )
  | (?P<comment> \# [^\n]*+ )
  | \\ \r?+ \n
    ''',
    re.VERBOSE | re.DOTALL,
)
"""Strings, comments and joined lines: no definition is in them. All may lack their end."""

_DEFINITION = re.compile(
    r"(?:async[ \t]+)?(?P<word>def|class)[ \t]+(?P<name>\w+)[ \t]*(?:[(\[:\r]|$)"
)
_WHITE = " \t\f"


def _skeleton(code: str) -> str:
    """The code with strings and comments blanked out, character for character.

    A line break that ends no line of the program (in a string, after a backslash) is gone, so
    that each line of the skeleton begins outside strings.
    """
    if "\r" in code:
        code = re.sub(r"\r(?!\n)", "\n", code)
    if code.startswith("\ufeff"):
        code = "\f" + code[1:]
    return _OPAQUE.sub(_blank, code)


def _blank(match: re.Match[str]) -> str:
    filler = {"text": '"', "comment": "#", None: " "}[match.lastgroup]
    return filler * len(match[0])


def _logical_lines(skeleton: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank: offset and text, line break included."""
    start = 0
    for line in re.split(r"(?<=\n)", skeleton):
        if line.strip():
            yield start, line
        start += len(line)


@dataclass(slots=True)
class _Block:
    """An open definition."""

    indent: int
    is_class: bool
    name: str
    in_step: bool
    """Whether it is a function that closes a step, or stands in one."""


@dataclass(slots=True)
class _Scan:
    """What is known of the program up to some line."""

    ends: list[int] = field(default_factory=list)
    """End of the last line of each function that closes a step."""
    openings: list[int] = field(default_factory=list)
    """End of the first line of each."""
    names: list[str] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)
    depth: int = 0
    """Open brackets; a definition within them shows that one was never closed."""

    def read(self, start: int, line: str) -> None:
        """Take the next line that is not blank."""
        text = line.lstrip(_WHITE)
        indent = _column(line[: len(line) - len(text)])
        definition = _DEFINITION.match(text)
        if definition is not None:
            self.depth = 0
        in_step = self._goes_on(indent, text)
        if definition is not None:
            in_step = in_step or self._opens_step(definition, start + len(line))
            is_class = definition["word"] == "class"
            self.blocks.append(_Block(indent, is_class, definition["name"], in_step))
        if in_step:
            self.ends[-1] = start + len(line)
        self.depth = max(0, self.depth + _opened_brackets(text))

    def _goes_on(self, indent: int, text: str) -> bool:
        """Whether the line belongs to the function that closed the latest step."""
        if text.startswith("#") and not self.depth:
            return any(block.in_step and block.indent < indent for block in self.blocks)
        while not self.depth and self.blocks and self.blocks[-1].indent >= indent:
            self.blocks.pop()
        return bool(self.blocks) and self.blocks[-1].in_step

    def _opens_step(self, definition: re.Match[str], end: int) -> bool:
        if definition["word"] == "class" or len(self.blocks) > 1:
            return False
        self.ends.append(0)
        self.openings.append(end)
        self.names.append(".".join([*(block.name for block in self.blocks), definition["name"]]))
        return True


def _column(margin: str) -> int:
    """The indentation that white space makes: tabs go to multiples of 8, a form feed to 0."""
    return len(margin.rpartition("\f")[2].expandtabs(8))


def _opened_brackets(text: str) -> int:
    opened = sum(map(text.count, "([{"))
    return opened - sum(map(text.count, ")]}"))


def _merge(
    ends: list[int], names: list[str], max_steps: int
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Drop the inner end whose two steps are shortest together, until few enough are left."""
    inner = ends[:-1]
    before = dict(zip(inner, [0, *inner], strict=False))
    after = dict(zip(inner, ends[1:], strict=True))
    spans = [(after[end] - before[end], end) for end in inner]
    heapq.heapify(spans)
    while len(after) >= max_steps:
        span, end = heapq.heappop(spans)
        if end not in after or span != after[end] - before[end]:
            continue  # dropped, or grown since: a later entry has its span
        left, right = before.pop(end), after.pop(end)
        if left in after:
            after[left] = right
            heapq.heappush(spans, (right - before[left], left))
        if right in before:
            before[right] = left
            heapq.heappush(spans, (after[right] - left, right))
    groups: list[list[str]] = [[]]
    for end, name in zip(ends, names, strict=True):
        groups[-1].append(name)
        if end in after:
            groups.append([])
    return (*sorted(after), ends[-1]), tuple("+".join(group) for group in groups)
