"""HumanEval and MBPP, and their EvalPlus forms (arXiv 2107.03374, 2108.07732, 2305.01210)."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from funprm.datasets.differential import check_against_reference
from funprm.datasets.examples import call_arguments, example_inputs, examples
from funprm.datasets.probes import PROBE_SECONDS, probe_cases
from funprm.datasets.rows import data_files, read_rows, with_key
from funprm.datasets.source import functions, parsed
from funprm.datasets.split import Fractions, assign, check_split
from funprm.errors import DataError
from funprm.records import Case, Problem, Split, Suite

_CONTRADICTED = {
    "HumanEval/47": "[-10, 4, 6, 1000, 10, 20]",
    "HumanEval/116": "",
    "HumanEval/130": "",
    "HumanEval/148": '"Earth"\n"Mercury"',
}
"""Inputs of HumanEval examples that the official tests contradict (empty: all of a task)."""


class _HumanEvalRow(msgspec.Struct):
    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str = ""
    test: str = ""
    base_input: list[Any] = []
    plus_input: Any = None
    atol: float = 0.0


@dataclass(frozen=True, kw_only=True)
class HumanEvalDataset:
    """HumanEval or HumanEval+ from a file of JSON lines.

    The program is complete: it begins with the prompt's code. Hidden tests are the official ones
    (`test`), or, for EvalPlus' files of inputs, a comparison with the reference solution. Public
    tests are the examples of the docstring; probes are their inputs and mutations of them.
    """

    path: str
    """`HumanEval.jsonl.gz` or `HumanEvalPlus*.jsonl.gz` (plain or gzipped), or their folder."""
    split: Split | Fractions = "test"
    """One split for all problems, or fractions of them by problem."""
    probes: int = 16
    """Number of inputs on which candidates' answers are compared; 0: none."""
    seed: int = 0
    """Of the probes."""
    seconds: float = 6.0
    """CPU limit of all hidden tests of a problem together."""
    public_seconds: float = 2.0
    """CPU limit of each public test: docstrings have small examples."""
    prelude: str = ""
    """Source in scope of every program besides the prompt's imports, such as more imports."""

    def __post_init__(self) -> None:
        check_split(self.split)

    def load(self) -> Iterator[Problem]:
        """The problems, in the file's order.

        Raises:
            InputError: no such file.
            RecordError: a line that cannot be read.
            DataError: a problem without tests.
        """
        patterns = ["HumanEvalPlus*.jsonl*", "HumanEval*.jsonl*", "humaneval.jsonl*"]
        source = "get HumanEval.jsonl.gz from the repository openai/human-eval, folder data"
        for where, row in read_rows(data_files(self.path, patterns, source)[-1], _HumanEvalRow):
            yield self._problem(row, where)

    def _problem(self, row: _HumanEvalRow, where: str) -> Problem:
        prelude = self.prelude + _imports(row.prompt)
        suite = Suite(
            kind="functional", entry_point=row.entry_point, prelude=prelude, seconds=self.seconds
        )
        public, inputs = _docstring_cases(row)
        probes = probe_cases(inputs, self.probes, f"{self.seed} {row.task_id}")
        return with_key(
            Problem(
                key="",
                problem_id=row.task_id,
                statement=f"Complete the function `{row.entry_point}` as its docstring says.",
                starter_code=row.prompt.strip("\n") + "\n",
                hidden=replace(suite, kind="check", code=_humaneval_check(row, where)),
                public=_public(suite, public, self.public_seconds),
                probe=_probe(suite, probes),
                split=assign(row.task_id, self.split),
                reference=row.prompt + row.canonical_solution if row.canonical_solution else None,
                platform="humaneval",
            )
        )


def _humaneval_check(row: _HumanEvalRow, where: str) -> str:
    inputs = [*row.base_input, *(row.plus_input or [])]
    if row.test:
        return row.test
    if not inputs or not row.canonical_solution:
        raise DataError(
            f"{where}: problem {row.task_id!r} has no tests: expected `test`, or `base_input` "
            "with `canonical_solution`"
        )
    reference = row.prompt + row.canonical_solution
    return check_against_reference(reference, row.entry_point, inputs, row.atol)


def _docstring_cases(row: _HumanEvalRow) -> tuple[tuple[Case, ...], list[list[Any]]]:
    """Cases and bare inputs from the docstring of the function to be written."""
    named = [f for f in functions(row.prompt) if f.name == row.entry_point]
    if not named:
        return (), []
    texts = [
        node.value.value
        for node in named[-1].body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    docstring = next((text for text in texts if isinstance(text, str)), "")
    parameters = [argument.arg for argument in named[-1].args.args]
    wrong = _CONTRADICTED.get(row.task_id)
    cases = examples(docstring, row.entry_point, parameters)
    kept = tuple(case for case in cases if wrong is None or wrong not in ("", case.input))
    inputs = [[msgspec.json.decode(line) for line in case.input.split("\n")] for case in cases]
    return kept, [*inputs, *(list(a) for a in example_inputs(docstring, row.entry_point))]


class _MbppRow(msgspec.Struct):
    task_id: int | str
    code: str
    text: str = ""
    prompt: str = ""
    test_list: list[str] = []
    test_imports: list[str] = []
    test_setup_code: str = ""
    challenge_test_list: list[str] = []
    test: str = ""


@dataclass(frozen=True, kw_only=True)
class MbppDataset:
    """MBPP, its sanitized form, or MBPP+ from a file of JSON lines (or one JSON list).

    Hidden tests are all assertions (`test` of MBPP+ where it is given). The statement shows the
    first assertions, which name the function; they are the public tests.
    """

    path: str
    """`mbpp.jsonl`, `sanitized-mbpp.json` (plain or gzipped), or their folder."""
    split: Split | Literal["official"] | Fractions = "official"
    """One split for all, fractions by problem, or the official ranges of task numbers: up to 10
    and 601-974 train, 11-510 test, 511-600 validation."""
    shown: int = 1
    """Number of assertions that the statement shows."""
    probes: int = 16
    """Number of inputs on which candidates' answers are compared; 0: none."""
    seed: int = 0
    """Of the probes."""
    seconds: float = 6.0
    """CPU limit of all hidden tests of a problem together, and of all public ones."""

    def __post_init__(self) -> None:
        if self.split != "official":
            check_split(self.split)

    def load(self) -> Iterator[Problem]:
        """The problems, in the file's order.

        Raises:
            InputError: no such file.
            RecordError: a line that cannot be read.
            DataError: a problem without tests.
        """
        patterns = ["sanitized-mbpp.json*", "mbpp*.json*", "Mbpp*.json*"]
        source = "get mbpp.jsonl or sanitized-mbpp.json of google-research/google-research, mbpp"
        for where, row in read_rows(data_files(self.path, patterns, source)[-1], _MbppRow):
            yield self._problem(row, where)

    def _problem(self, row: _MbppRow, where: str) -> Problem:
        name, inputs = _asserted(row)
        if not name:
            raise DataError(
                f"{where}: problem {row.task_id} has no tests: expected in `test_list` an "
                "assertion that calls a function of `code`"
            )
        number = str(row.task_id).rpartition("/")[2]
        shown = row.test_list[: self.shown]
        suite = Suite(kind="check", entry_point=name, seconds=self.seconds)
        probes = probe_cases(inputs, self.probes, f"{self.seed} {number}")
        return with_key(
            Problem(
                key="",
                problem_id=f"Mbpp/{number}",
                statement=_mbpp_statement(row.prompt or row.text, shown),
                hidden=replace(suite, code=_mbpp_check(row, name)),
                public=replace(suite, code=_assertions(row, name, shown)) if shown else None,
                probe=_probe(suite, probes),
                split=self._split(number),
                reference=row.code,
                platform="mbpp",
            )
        )

    def _split(self, number: str) -> Split:
        if self.split != "official":
            return assign(f"Mbpp/{number}", self.split)
        if not number.isdecimal() or 10 < int(number) <= 510:
            return "test"
        return "validation" if 510 < int(number) <= 600 else "train"


def _mbpp_statement(text: str, shown: list[str]) -> str:
    if not shown:
        return text.strip()
    tests = "\n".join(shown)
    return f"{text.strip()}\n\nThe program must pass:\n\n```python\n{tests}\n```"


def _asserted(row: _MbppRow) -> tuple[str, list[list[Any]]]:
    """Name of the function of the reference that the assertions call, and literal arguments."""
    defined = {function.name for function in functions(row.code)}
    calls = [
        node
        for line in [*row.test_list, row.test]
        for node in ast.walk(parsed(line))
        if isinstance(node, ast.Call)
    ]
    called = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id in defined]
    if not called:
        return "", []
    name = ast.unparse(called[0].func)
    arguments = [call_arguments(ast.unparse(c)) for c in called if ast.unparse(c.func) == name]
    return name, [a for a in arguments if isinstance(a, list)]


def _mbpp_check(row: _MbppRow, name: str) -> str:
    if row.test:
        return _assertions(row, name, [row.test])
    return _assertions(row, name, [*row.test_list, *row.challenge_test_list])


def _assertions(row: _MbppRow, name: str, tests: list[str]) -> str:
    """Source of a `check(candidate)` that runs assertions with the candidate under its name.

    The program's names are taken before `check` is defined: Mbpp/56 asks for a `check` itself.
    """
    setup = "\n".join([*row.test_imports, row.test_setup_code]).strip()
    return f"""\
SETUP = {setup!r}
TESTS = {tests!r}
SCOPE = dict(globals())


def check(candidate):
    scope = {{{name!r}: candidate, **SCOPE}}
    exec(SETUP, scope)
    for test in TESTS:
        exec(test, scope)
"""


def _public(suite: Suite, cases: tuple[Case, ...], seconds: float) -> Suite | None:
    return replace(suite, cases=cases, seconds=min(suite.seconds, seconds)) if cases else None


def _probe(suite: Suite, cases: tuple[Case, ...]) -> Suite | None:
    if not cases:
        return None
    seconds = min(suite.seconds, PROBE_SECONDS)
    return replace(suite, kind="functional", cases=cases, seconds=seconds)


def _imports(source: str) -> str:
    nodes = [n for n in parsed(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
    return "".join(f"{ast.unparse(node)}\n" for node in nodes)
