"""Problems to prompts, and answers to programs.

Three styles: `chain_of_function` asks for a program made of documented functions (arXiv
2601.22249, section 3.1), `plain` asks for a program only, `statement` is the bare problem text,
for small language models that continue it. Besides these, a style may be a template of one's own:
`template:` and its text (`prompt_file` of a configuration puts it there). `prompt_identity`
changes whenever a prompt does.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from funprm.errors import ConfigError, nearest
from funprm.interfaces import TEMPLATE
from funprm.records import Problem, Suite, key_of

STYLES = ("chain_of_function", "plain", "statement")
"""The prompt styles, by name."""

PLACEHOLDERS = {
    "task": "what to write: a program that reads standard input, a function, or a method",
    "statement": "the problem",
    "given_code": "the code that the program must begin with, introduced; may be empty",
    "form": "the rules of a program made of functions, and an example",
    "answer": "how to answer: the complete program in one code block",
    "entry_point": "the quoted name of the function or method; empty for standard input",
}
"""What `{{name}}` stands for in a template. A line that holds only a placeholder is left out, with
the empty line after it, where nothing is to be put there."""

_PLAIN = """\
{{task}}

# Problem

{{statement}}

{{given_code}}

# Answer

{{answer}}"""

TEMPLATES = {
    "plain": _PLAIN,
    "chain_of_function": _PLAIN.replace(
        "# Answer", "# Form of the program\n\n{{form}}\n\n# Answer"
    ),
}
"""The built-in templates by style: where to start from for one's own."""

_Form = Literal["stdin", "function", "method"]

_TASK: dict[_Form, str] = {
    "stdin": (
        "Write a Python program that solves the problem. It reads the input from standard input "
        "and prints the answer to standard output."
    ),
    "function": (
        "Write a Python program that solves the problem. It defines the function {entry}, which "
        "is called with the arguments and returns the answer; it reads no input and prints "
        "nothing unless the problem asks for it."
    ),
    "method": (
        "Write a Python program that solves the problem. It defines `class Solution` with the "
        "method {entry}, which is called with the arguments and returns the answer; it reads no "
        "input and prints nothing."
    ),
}

_FORM_RULES = """\
Compose the program of functions, each of which does one thing:
1. The first function is the high-level one that solves the problem. Its docstring states the \
strategy and the algorithm; its body reads as an outline that calls helpers.
2. The helpers follow it, in the order in which they are needed. The docstring of each states \
its own logic: what it takes, what it returns, and how.
3. Logic that is repeated, or can be separated, becomes a helper of its own.
4. Nothing is nested: no function inside a function, no class inside a function.
5. {place}"""

_PLACE: dict[_Form, str] = {
    "stdin": (
        "The first function is `main`; the program ends with a call of it under "
        '`if __name__ == "__main__":`, and nothing else but imports and constants stands at the '
        "top level."
    ),
    "function": (
        "Helpers are functions at the top level, after {entry}. Functions that the given code "
        "already contains stay where they are."
    ),
    "method": "Helpers are methods of the same class, after {entry}, and are called on `self`.",
}

_FORM_INTRODUCTION = (
    "This program for another problem (how many words of a text occur more than once) shows the "
    "form only:"
)

_EXAMPLE: dict[_Form, str] = {
    "stdin": '''\
import sys
from collections import Counter


def main():
    """Print how many distinct words of the text occur more than once.

    Strategy: bring the words to a common form, then look at how often each occurs.
    Algorithm: count the words in one pass, then count the entries above one; O(n) time.
    """
    words = split_words(sys.stdin.read())
    print(count_repeated(words))


def split_words(text):
    """Return the words of the text in lower case: what stands between white space."""
    return text.lower().split()


def count_repeated(words):
    """Return how many distinct words occur at least twice, from a table of their counts."""
    return sum(1 for count in Counter(words).values() if count > 1)


if __name__ == "__main__":
    main()
''',
    "function": '''\
from collections import Counter


def repeated_words(text: str) -> int:
    """Return how many distinct words of the text occur more than once.

    Strategy: bring the words to a common form, then look at how often each occurs.
    Algorithm: count the words in one pass, then count the entries above one; O(n) time.
    """
    return count_repeated(split_words(text))


def split_words(text: str) -> list[str]:
    """Return the words of the text in lower case: what stands between white space."""
    return text.lower().split()


def count_repeated(words: list[str]) -> int:
    """Return how many distinct words occur at least twice, from a table of their counts."""
    return sum(1 for count in Counter(words).values() if count > 1)
''',
    "method": '''\
from collections import Counter


class Solution:
    def repeatedWords(self, text: str) -> int:
        """Return how many distinct words of the text occur more than once.

        Strategy: bring the words to a common form, then look at how often each occurs.
        Algorithm: count the words in one pass, then count the entries above one; O(n) time.
        """
        return self.count_repeated(self.split_words(text))

    def split_words(self, text: str) -> list[str]:
        """Return the words of the text in lower case: what stands between white space."""
        return text.lower().split()

    def count_repeated(self, words: list[str]) -> int:
        """Return how many distinct words occur at least twice, from a table of their counts."""
        return sum(1 for count in Counter(words).values() if count > 1)
''',
}

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")

_STARTER_RULE = (
    "The program begins with this code; keep its names, signatures and docstrings as they are:"
)

_ANSWER_RULE = (
    "Answer with the complete program, imports included, in one Markdown code block "
    "(```python ... ```)."
)


def build_prompt(problem: Problem, style: str) -> str:
    """The user message that asks a policy for a program.

    Args:
        problem: what is to be solved; its hidden suite decides what form the program takes
            (reads standard input, defines a function, or a method of `class Solution`).
        style: one of `STYLES`, or a template.

    Returns:
        The message; for `statement`, `render_statement(problem)` and nothing more.

    Raises:
        ConfigError: the style is unknown, or the template cannot be used.
    """
    _check_style(style)
    if style == "statement":
        return render_statement(problem)
    template = TEMPLATES.get(style, style.removeprefix(TEMPLATE))
    return _filled(template, _values(problem))


def _values(problem: Problem) -> dict[str, str]:
    """What the placeholders stand for."""
    form, entry = _form(problem)
    starter = problem.starter_code.rstrip()
    rules = _FORM_RULES.format(place=_PLACE[form].format(entry=entry))
    return {
        "task": _TASK[form].format(entry=entry),
        "statement": problem.statement.strip(),
        "given_code": f"# Given code\n\n{_STARTER_RULE}\n\n{_fenced(starter)}" if starter else "",
        "form": f"{rules}\n\n{_FORM_INTRODUCTION}\n\n{_fenced(_EXAMPLE[form])}",
        "answer": _ANSWER_RULE,
        "entry_point": entry,
    }


def _filled(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        if not value:
            template = re.sub(rf"(?m)^{{{{{name}}}}}[ \t]*(?:\n\n?|\Z)", "", template)
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def answer_prefix(style: str, prefix: str) -> str:
    r"""What an answer must begin with so that its program begins with `prefix`.

    >>> answer_prefix("plain", "import sys\n")
    '```python\nimport sys\n'
    >>> answer_prefix("statement", "import sys\n")
    'import sys\n'

    Raises:
        ConfigError: the style is unknown.
    """
    _check_style(style)
    if style == "statement" or not prefix:
        return prefix
    return f"```python\n{prefix}"


def render_statement(problem: Problem) -> str:
    """The problem as the reward model reads it: the statement, then starter code if any."""
    statement = problem.statement.strip()
    starter = problem.starter_code.rstrip()
    if not starter:
        return statement
    return f"{statement}\n\n{_fenced(starter)}"


@functools.cache
def prompt_identity(style: str) -> str:
    """A hash of the prompts that `build_prompt` makes, for record keys.

    It is taken over rendered prompts of every form a program can have, so that a change of any
    text or rule changes it.

    Raises:
        ConfigError: the style is unknown.
    """
    _check_style(style)
    prompts = [build_prompt(problem, style) for problem in _specimens()]
    return key_of("prompt", style, prompts)


def extract_code(text: str) -> str:
    r"""The program in a policy's answer: what the last Markdown code block holds.

    The rule is LiveCodeBench's (between the last pair of fences), made tolerant: `~~~` fences,
    language tags, indented fences, Windows line ends, a fence glued to the last line. A block
    that was never closed (an answer cut off in the middle) reaches to the end of the text. Text
    without a fence is returned as it is, less reasoning that ends in `</think>`.

    >>> extract_code("So:\n```python\nprint(1)\n```\nDone.")
    'print(1)\n'
    >>> extract_code("print(1)\n")
    'print(1)\n'
    """
    reasoning, end, answer = text.rpartition("</think>")
    if end and (answer.strip() or not reasoning.strip()):
        text = answer.lstrip("\r\n")
    blocks = [block for block in _blocks(text) if block.strip()]
    return blocks[-1] if blocks else text


def _check_style(style: str) -> None:
    if style in STYLES:
        return
    if style.startswith(TEMPLATE):
        names = [match[1] for match in _PLACEHOLDER.finditer(style)]
        for name in names:
            if name not in PLACEHOLDERS:
                hint = nearest(name, PLACEHOLDERS)
                raise ConfigError(f"prompt template: unknown placeholder {{{{{name}}}}}: {hint}")
        if "statement" not in names:
            raise ConfigError("prompt template: expected {{statement}}, where the problem goes")
        return
    raise ConfigError(f"unknown prompt style {style!r}: {nearest(style, STYLES)}")


def _form(problem: Problem) -> tuple[_Form, str]:
    """The form a program must have, and the quoted name of what is called."""
    suite = problem.hidden
    if suite.kind == "stdin":
        return "stdin", ""
    name = suite.entry_point.rpartition(".")[2] or "task_func"
    in_class = re.search(r"^class Solution\b", problem.starter_code, re.MULTILINE)
    is_method = suite.entry_point.startswith("Solution().") or in_class is not None
    return ("method" if is_method else "function"), f"`{name}`"


def _fenced(code: str) -> str:
    return f"```python\n{code.rstrip()}\n```"


def _specimens() -> Iterator[Problem]:
    """One problem of every form, with and without starter code."""
    suites = (
        Suite(kind="stdin"),
        Suite(kind="functional", entry_point="f"),
        Suite(kind="check", entry_point="Solution().f"),
        Suite(kind="unittest", entry_point="f"),
    )
    for suite in suites:
        for starter in ("", "def f(x):\n", "class Solution:\n    def f(self, x):\n"):
            yield Problem(
                key="", problem_id="", statement="statement", hidden=suite, starter_code=starter
            )


@dataclass(frozen=True, slots=True)
class _Fence:
    mark: str
    """The fence's characters, three or more."""
    info: str
    """The language tag; empty for a fence that can only close a block."""
    indent: int = 0

    def closes(self, opened: "_Fence") -> bool:
        """Whether this fence ends the block (a longer fence protects shorter ones)."""
        return self.mark.startswith(opened.mark)

    def opens(self, opened: "_Fence | None") -> bool:
        """Whether a block starts here: inside an unclosed one, only after a language tag."""
        return opened is None or bool(re.fullmatch(r"[\w+#.-]+", self.info))


_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_FENCE_AFTER_PROSE = re.compile(r"[^`]+?(`{3,})([\w+#-]*)")
_FENCE_AFTER_CODE = re.compile(r"""([^`]*[^`\s#"'])(`{3,})""")
_TOP_LEVEL_CODE = re.compile(r"^(async def|def|class|import|from) ", re.MULTILINE)
_INDENT_OF_PROSE = 3
"""Beyond this a fence is indented code (CommonMark): it may stand in a program's docstring."""


def _blocks(text: str) -> list[str]:
    """The contents of all code blocks, in order; the last one may be unclosed."""
    lines = re.split(r"(?<=\n)", text)
    blocks = _scan_blocks(lines, _INDENT_OF_PROSE)
    if not blocks and not _TOP_LEVEL_CODE.search(text):
        blocks = _scan_blocks(lines, len(text))
    return blocks


def _scan_blocks(lines: list[str], max_indent: int) -> list[str]:
    blocks: list[str] = []
    opened: _Fence | None = None
    content: list[str] = []
    for line in lines:
        rest, fence = _split_fence(line, opened, max_indent)
        if opened is not None and (fence is None or not fence.closes(opened)):
            content.append(_dedent(line, opened.indent))
        elif fence is not None:
            if opened is not None:
                blocks.append("".join([*content, _dedent(rest, opened.indent)]))
            opened = fence if fence.opens(opened) else None
            content = []
    if opened is not None:
        blocks.append(_without_glued_fence("".join(content), opened.mark))
    return blocks


def _split_fence(line: str, opened: _Fence | None, max_indent: int) -> tuple[str, _Fence | None]:
    """What stands before the fence of this line, and the fence, if it has one."""
    text = line.rstrip()
    if match := _FENCE.match(text):
        info = text[match.end() :].strip()
        if match.start(1) <= max_indent and "`" not in info:
            return "", _Fence(match[1], info, match.start(1))
    elif "```" not in text:
        return line, None
    elif opened is None and (match := _FENCE_AFTER_PROSE.fullmatch(text)):
        return match[0], _Fence(match[1], match[2])
    elif opened is not None and (match := _FENCE_AFTER_CODE.fullmatch(text)):
        return match[1], _Fence(match[2], "")
    return line, None


def _dedent(line: str, indent: int) -> str:
    """The line without the indentation that its block's opening fence has."""
    margin = line[:indent]
    return line[len(margin) - len(margin.lstrip(" \t")) :]


def _without_glued_fence(block: str, mark: str) -> str:
    """An unclosed block, less a closing fence written at the end of its last line."""
    stripped = block.rstrip()
    return stripped.removesuffix(mark) if stripped.endswith(mark) else block
