"""Programs that must begin with a given prefix, from servers that promise nothing.

A prefix is continued in one of three ways. `prefill`: the answer's beginning is the final,
unfinished message, which the server continues (vLLM, SGLang, llama.cpp). `completions`: prompt
and beginning are one raw text. `instruction`: the prompt shows the prefix and asks to keep it,
which is then checked.
"""

import io
import re
from dataclasses import dataclass
from typing import Literal

from funprm.prompts import Turn, extract_code
from funprm.records import Json

Way = Literal["prefill", "completions", "instruction"]

PREFILL: dict[str, Json] = {"continue_final_message": True, "add_generation_prompt": False}
"""What makes a server continue the final message instead of starting a new one."""

INSTRUCTION = """

# Beginning of the program

The beginning of the program is given. Keep it unchanged, character for character, and write \
what follows it. The answer holds the complete program: this beginning, then the rest.

```python
{prefix}
```"""
"""What follows the prompt where a prefix is to be kept by instruction."""

_FENCE = re.compile(r"^ {0,3}```(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A program read from an answer."""

    code: str
    kept: bool = True
    """False where the wanted prefix was changed."""


def instruct(question: Turn, prefix: str) -> Turn:
    """The question that shows a prefix and asks to keep it."""
    return Turn(question.role, question.content + INSTRUCTION.format(prefix=prefix.rstrip("\n")))


def read_program(text: str, prefix: str, way: Way) -> Program:
    """The program in an answer, checked against the wanted prefix.

    Args:
        text: the visible answer.
        prefix: what the program must begin with; empty for a fresh one.
        way: how the prefix was continued.
    """
    code = extract_code(text)
    if not prefix:
        return Program(code)
    if whole := splice(prefix, code):
        return Program(whole)
    if way == "instruction":
        return Program(code, kept=False)
    return _joined(prefix, text)


def splice(prefix: str, code: str) -> str:
    r"""The program with the prefix put back exactly, where it differs in blanks at most.

    Trailing blanks, blank lines and kinds of line ends may differ; indentation may not.
    Empty where the program does not begin with the prefix.

    >>> splice("import sys\n\n", "import sys \nprint(1)\n")
    'import sys\n\nprint(1)\n'
    """
    if code.startswith(prefix):
        return code
    wanted = [line.rstrip() for line in _lines(prefix) if line.strip()]
    lines = _lines(code)
    for position, line in enumerate(lines):
        if not wanted:
            return prefix + _line_end(prefix) + "".join(lines[position:])
        if line.strip() and line.rstrip() != wanted.pop(0):
            return ""
    return "" if wanted else prefix


def _joined(prefix: str, text: str) -> Program:
    """Prefix and continuation; the first fence that follows ends the program."""
    fence = _FENCE.search(text)
    if fence is None:
        continuation = re.sub(r"```\s*\Z", "", text)
    else:
        continuation = text[: fence.start()]
        if fence[1].strip() and not continuation.strip():  # a new block: it started again
            return Program(extract_code(text), kept=False)
    return Program(prefix + continuation, kept=not _goes_on_in_line(prefix, continuation))


def _goes_on_in_line(prefix: str, continuation: str) -> bool:
    r"""Whether a continuation belongs to the prefix's last line, as its indentation shows.

    A server's template may have trimmed the prefix's last line break (Llama 3's does).

    >>> _goes_on_in_line("def f(x):\n    return x\n", " if x else 0\n")
    True
    """
    first = continuation.partition("\n")[0]
    margin = first[: len(first) - len(first.lstrip())]
    if not margin or not first.strip() or not prefix.endswith("\n"):
        return False
    return all(
        not line.startswith(margin) or line[len(margin)].isspace()
        for line in prefix.splitlines()
        if len(line) > len(margin)
    )


def _lines(code: str) -> list[str]:
    """Lines with their ends, as Python reads a program: strings may hold U+2028 and the like."""
    return list(io.StringIO(code, newline=""))


def _line_end(prefix: str) -> str:
    return "" if prefix.endswith(("\n", "\r")) else "\n"
