"""LeetCode problems with assertions as tests (the fields of LeetCodeDataset, arXiv 2504.14655)."""

import ast
import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec

from funprm.datasets._docstring_examples import call_arguments, encode_arguments
from funprm.datasets._files import Source
from funprm.datasets.base import DatedDataset, ProblemBody, ProblemHeader
from funprm.errors import DataError
from funprm.python_source import parsed
from funprm.records import Case, Difficulty, Suite

_DIFFICULTIES: dict[str, Difficulty] = {
    "easy": "easy",
    "medium": "medium",
    "meidum": "medium",  # as spelt in the data
    "hard": "hard",
}
_INSTRUCTION = "Please complete the following python code"
_LINKED = re.compile(r"\b(ListNode|TreeNode|Node)\b")


class _Example(msgspec.Struct):
    input: str
    output: str


class _Meta(msgspec.Struct, frozen=True):
    difficulty: str = ""
    lang_code: str = ""


class _Row(msgspec.Struct):
    task_id: str
    entry_point: str
    test: str
    prompt: str = ""
    """Code that is in scope: imports, list and tree nodes."""
    completion: str = ""
    src: str = ""
    problem_description: str = ""
    starter_code: str = ""
    difficulty: str = ""
    estimated_date: str = ""
    examples: list[_Example] = []
    meta: _Meta = _Meta()


@dataclass(frozen=True, kw_only=True)
class LeetCodeDataset(DatedDataset[_Row]):
    """LeetCode problems from the hub or a file; the program defines `class Solution`.

    Hidden tests are all assertions. The first examples are public tests and shown in the
    statement, where it has none.
    """

    row: ClassVar[type] = _Row
    title: ClassVar[str] = "LeetCode"

    shown: int = 1
    """Number of examples that are public. Some files have no other tests than the examples:
    showing all would make the public tests the hidden ones."""
    seconds: float = 6.0
    """CPU limit of all hidden tests of a problem together, and of each public one."""

    def _source(self) -> Source:
        names = ("LeetCodeDataset-train.jsonl", "LeetCodeDataset-test.jsonl")
        return Source(
            repository="newfacade/LeetCodeDataset",
            remote=names,
            local=(("LeetCodeDataset*.jsonl*", "leetcode*.jsonl*"),),
        )

    def _header(self, row: _Row) -> ProblemHeader:
        return ProblemHeader(
            problem_id=row.task_id,
            platform="leetcode",
            difficulty=_DIFFICULTIES.get((row.difficulty or row.meta.difficulty).lower(), ""),
            day=row.estimated_date[:10],
        )

    def _body(self, row: _Row, where: str) -> ProblemBody:
        if "def check(" not in row.test:
            raise DataError(f"{where} has no tests: expected in `test` a function check(candidate)")
        suite = Suite(
            kind="check",
            entry_point=row.entry_point,
            code=row.test,
            prelude=row.prompt,
            seconds=self.seconds,
        )
        starter = (row.starter_code or row.meta.lang_code).rstrip() + "\n"
        shown = row.examples[: self.shown]
        method = row.entry_point.rpartition(".")[2]
        cases = _cases(shown, starter, method)
        functional = replace(suite, kind="functional", code="", entry_point=method, cases=cases)
        return ProblemBody(
            statement=_statement(row, shown),
            starter_code=starter,
            hidden=suite,
            public=functional if cases else None,
            reference=row.completion or None,
        )


def _statement(row: _Row, shown: list[_Example]) -> str:
    if row.problem_description:
        return row.problem_description.strip()
    statement = row.src.partition(_INSTRUCTION)[0].strip()
    examples = [f"Input: {example.input}\nOutput: {example.output}" for example in shown]
    return "\n\n".join([statement, *examples])


def _cases(examples: list[_Example], starter: str, method: str) -> tuple[Case, ...]:
    """Examples as functional cases; none where linked nodes stand behind the lists."""
    parameters = _parameters(starter, method)
    if not parameters or _LINKED.search(starter):
        return ()
    cases = []
    for example in examples:
        arguments = call_arguments(f"f({_python(example.input)})")
        inputs = None if arguments is None else encode_arguments(arguments, parameters)
        if inputs is not None and _is_json(example.output):
            cases.append(Case(input=inputs, output=example.output))
    return tuple(cases)


def _parameters(starter: str, method: str) -> list[str]:
    for node in ast.walk(parsed(f"{starter}        pass\n")):
        if isinstance(node, ast.FunctionDef) and node.name == method:
            return [argument.arg for argument in node.args.args[1:]]
    return []


def _python(source: str) -> str:
    """JSON's words as Python's, outside double quotes."""
    words: dict[str, Any] = {"true": True, "false": False, "null": None}
    return re.sub(
        r'"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b',
        lambda match: str(words.get(match[0], match[0])),
        source,
    )


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
