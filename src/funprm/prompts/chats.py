"""Problems to prompts: chats, from templates.

Styles: `chain_of_function` asks for a program made of documented functions (arXiv 2601.22249,
section 3.1), `plain` asks for a program only, `refactored` asks for a program, and then to rewrite
it as functions, `statement` is the bare problem text, for small language models that continue it.
All but the last are templates, and a style may be a template of one's own: `template:` and its text
(`prompt_file` of a configuration puts it there). `prompt_identity` changes whenever a prompt does.

A template is a chat of several turns, or several chats one after the other: lines that hold one of
`DIRECTIVES` divide it. Without any it is one turn of the user.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from funprm.errors import ConfigError, nearest
from funprm.interfaces import TEMPLATE
from funprm.prompts import texts
from funprm.prompts.examples import EXAMPLES, Example
from funprm.prompts.texts import TEMPLATES
from funprm.records import Json, Problem, Suite, key_of

STYLES = (*TEMPLATES, "statement")
"""The prompt styles, by name."""

PLACEHOLDERS = {
    "task": "what to write: a program that reads standard input, a function, or a method",
    "statement": "the problem",
    "given_code": "the code that the program must begin with, introduced; may be empty",
    "form": "the rules of a program made of functions, and an example",
    "rules": "these rules alone",
    "answer": "how to answer: the complete program in one code block",
    "entry_point": "the quoted name of the function or method; empty for standard input",
    "program": "the program that the chat before led to, in a code block; after `{{next}}` only",
    "keep": "what a program must keep where it is rewritten",
}
"""What `{{name}}` stands for in a template. A line that holds only a placeholder is left out, with
the empty line after it, where nothing is to be put there."""

DIRECTIVES = {
    "system": "a turn of the system begins",
    "user": "a turn of the user begins",
    "assistant": "a turn of the model begins: an earlier answer",
    "example": "turns that ask the last turn of the chat for other problems, and their answers",
    "next": "a further chat begins: it is asked about the program that this one led to",
}
"""What a line of a template means that holds only `{{name}}`."""

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_DIRECTIVE = re.compile(rf"(?m)^\{{\{{\s*({'|'.join(DIRECTIVES)})\s*\}}\}}[ \t]*(?:\n|\Z)")

Role = Literal["system", "user", "assistant"]


class Turn(NamedTuple):
    """One message of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A directive of a template, and the text that follows it."""

    directive: str
    text: str


def build_chat(problem: Problem, style: str, drafts: Sequence[str] = ()) -> tuple[Turn, ...]:
    """The turns that ask a policy for a program; the last one is the user's.

    Args:
        problem: what is to be solved; its hidden suite decides what form the program takes
            (reads standard input, defines a function, or a method of `class Solution`).
        style: one of `STYLES`, or a template.
        drafts: the programs that the style's earlier chats led to.

    Returns:
        The chat; for `statement`, `render_statement(problem)` and nothing more.

    Raises:
        ConfigError: the style is unknown, or the template cannot be used.
    """
    if style == "statement":
        return (Turn("user", render_statement(problem)),)
    parts = _chats(style)[len(drafts)]
    form, _ = _form(problem)
    return tuple(_turns(parts, _values(problem, drafts[-1] if drafts else ""), form))


def build_prompt(problem: Problem, style: str, drafts: Sequence[str] = ()) -> str:
    """The same as one text, for models without a chat format."""
    return as_text(build_chat(problem, style, drafts))


def as_text(chat: Sequence[Turn]) -> str:
    """A chat as one text."""
    return "\n\n".join(turn.content for turn in chat)


def chats_of(style: str) -> int:
    """How many chats a style has for one program; the last one's program counts.

    Raises:
        ConfigError: as `build_chat`.
    """
    return 1 if style == "statement" else len(_chats(style))


def _turns(parts: Sequence[_Part], values: Mapping[str, str], form: texts.Form) -> Iterator[Turn]:
    question = parts[-1].text
    for part in parts:
        if part.directive != "example":
            yield Turn(cast(Role, part.directive), _filled(part.text, values))
            continue
        for example in EXAMPLES[form]:
            yield Turn(
                "user", _filled(question, _values(_example_problem(example, form), example.plain))
            )
            yield Turn("assistant", _fenced(example.chained))


def _example_problem(example: Example, form: texts.Form) -> Problem:
    kind: Literal["stdin", "functional"] = "stdin" if form == "stdin" else "functional"
    suite = Suite(kind=kind, entry_point=example.entry)
    return Problem(
        key="",
        problem_id="example",
        statement=example.statement,
        hidden=suite,
        starter_code=example.starter,
    )


def example_names(problem: Problem, style: str) -> frozenset[str]:
    """The functions of the worked examples that a style shows for a problem.

    A program that defines one of them, although its problem does not speak of it, has copied the
    example.
    """
    form, _ = _form(problem)
    chats = [build_prompt(problem, style, ["pass"] * i) for i in range(chats_of(style))]
    asked = f"{problem.statement}\n{problem.starter_code}"
    names: set[str] = set()
    for example in EXAMPLES[form]:
        if any(example.chained.rstrip() in chat for chat in chats):
            names.update(re.findall(r"^ *def (\w+)", example.chained, re.MULTILINE))
    return frozenset(name for name in names - {"main"} if name not in asked)


@functools.cache
def _chats(style: str) -> tuple[tuple[_Part, ...], ...]:
    """The chats of a style.

    Raises:
        ConfigError: the style is unknown, or the template cannot be used.
    """
    if style in TEMPLATES:
        return _parsed(TEMPLATES[style])
    if not style.startswith(TEMPLATE):
        raise ConfigError(f"unknown prompt style {style!r}: {nearest(style, STYLES)}")
    chats = _parsed(style.removeprefix(TEMPLATE))
    _check(chats)
    return chats


def _parsed(template: str) -> tuple[tuple[_Part, ...], ...]:
    """The chats that the directives of a template make; empty turns are left out."""
    first, *rest = _DIRECTIVE.split(template)
    chats = [[_Part("user", first.strip("\n"))]]
    for directive, text in zip(rest[::2], rest[1::2], strict=True):
        if directive == "next":
            chats.append([])
        role = "user" if directive in ("next", "example") else directive
        if directive == "example":
            chats[-1].append(_Part("example", ""))
        chats[-1].append(_Part(role, text.strip("\n")))
    return tuple(
        tuple(part for part in chat if part.directive == "example" or part.text.strip())
        for chat in chats
    )


def _check(chats: Sequence[Sequence[_Part]]) -> None:
    """Raise ConfigError for the first thing that makes a template of one's own unusable."""
    for number, chat in enumerate(chats):
        names = [m[1] for part in chat for m in _PLACEHOLDER.finditer(part.text)]
        for name in names:
            if name not in PLACEHOLDERS:
                hint = nearest(name, [*PLACEHOLDERS, *DIRECTIVES])
                raise ConfigError(f"prompt template: unknown placeholder {{{{{name}}}}}: {hint}")
        needed, where = ("program", " after {{next}}") if number else ("statement", "")
        what = "the program that is rewritten" if number else "the problem"
        if needed not in names:
            raise ConfigError(
                f"prompt template: expected {{{{{needed}}}}}{where}, where {what} goes"
            )
        if not number and "program" in names:
            raise ConfigError("prompt template: {{program}} has a meaning after {{next}} only")
        _check_roles([part.directive for part in chat])


def _check_roles(roles: Sequence[str]) -> None:
    turns = roles[1:] if roles[0] == "system" else roles
    turns = [role for role in turns if role != "example"]
    if turns != [("user", "assistant")[i % 2] for i in range(len(turns))] or turns[-1] != "user":
        raise ConfigError(
            f"prompt template: turns are {', '.join(roles)}: expected at most one of the system, "
            "then the user's and the assistant's in turn, the user's last"
        )


def _values(problem: Problem, program: str) -> dict[str, str]:
    """What the placeholders stand for."""
    form, entry = _form(problem)
    starter = problem.starter_code.rstrip()
    rules = texts.RULES.format(place=texts.PLACE[form].format(entry=entry))
    example = _fenced(EXAMPLES[form][0].chained)
    given = f"# Given code\n\n{texts.STARTER_RULE}\n\n{_fenced(starter)}" if starter else ""
    return {
        "task": texts.TASK[form].format(entry=entry),
        "statement": problem.statement.strip(),
        "given_code": given,
        "form": f"{rules}\n\n{texts.EXAMPLE_INTRODUCTION}\n\n{example}",
        "rules": rules,
        "answer": texts.ANSWER_RULE,
        "entry_point": entry,
        "program": _fenced(program),
        "keep": texts.KEEP[form].format(entry=entry),
    }


def _filled(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        if not value:
            template = re.sub(rf"(?m)^{{{{{name}}}}}[ \t]*(?:\n\n?|\Z)", "", template)
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def answer_prefix(style: str, prefix: str, blank_lines: str = "") -> str:
    r"""What an answer must begin with so that its program begins with `prefix`.

    >>> answer_prefix("plain", "import sys\n")
    '```python\nimport sys\n'
    >>> answer_prefix("plain", "def f():\n    pass\n", "\n\n")
    '```python\ndef f():\n    pass\n\n\n'
    >>> answer_prefix("statement", "def f():\n    pass\n", "\n\n")
    'def f():\n    pass\n'

    Args:
        style: one of `STYLES`, or a template.
        prefix: the beginning of the program; empty: there is none.
        blank_lines: those that follow it, `steps.blank_lines_after(prefix)`. Byte-level
            vocabularies hold them in one token with the end of the last line: a model that reads
            the line's end alone takes it for the end of the program. `statement` goes without:
            its models were trained on lines.

    Raises:
        ConfigError: the style is unknown.
    """
    if not chats_of(style) or style == "statement" or not prefix:
        return prefix
    return f"```python\n{prefix}{blank_lines}"


def render_statement(problem: Problem) -> str:
    """The problem as the reward model reads it: the statement, then starter code if any."""
    statement = problem.statement.strip()
    starter = problem.starter_code.rstrip()
    if not starter:
        return statement
    return f"{statement}\n\n{_fenced(starter)}"


def question_key(problem: Problem) -> str:
    """What a policy may know of a problem; hidden tests are no part of it.

    So programs stay when hidden tests are mended: they are judged again, and not paid again.
    """
    shown = [problem.problem_id, problem.statement, problem.starter_code, problem.hidden.kind]
    public: Json = None
    if problem.public is not None:  # less its limits
        suite = problem.public.unpacked()
        public = [suite.kind, suite.entry_point, suite.code, suite.prelude]
        public += [[case.input, case.output] for case in suite.cases]
    return key_of("question", *shown, problem.hidden.entry_point, public)


@functools.cache
def prompt_identity(style: str) -> str:
    """A hash of the chats that `build_chat` makes, for record keys.

    It is taken over rendered prompts of every form a program can have, so that a change of any
    text or rule changes it.

    Raises:
        ConfigError: the style is unknown.
    """
    problems = list(_specimens())
    prompts: list[object] = [_specimen(problem, style, 0) for problem in problems]
    for number in range(1, chats_of(style)):
        prompts += [_specimen(problem, style, number) for problem in problems]
    return key_of("prompt", style, prompts)


def _specimen(problem: Problem, style: str, number: int) -> object:
    """A rendered chat; one of a single turn is its text."""
    chat = build_chat(problem, style, ["pass"] * number)
    return chat[0].content if len(chat) == 1 else chat


def _form(problem: Problem) -> tuple[texts.Form, str]:
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
