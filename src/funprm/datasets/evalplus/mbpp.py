"""MBPP, its sanitized form, and MBPP+ (arXiv 2108.07732, 2305.01210)."""

import ast
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import msgspec

from funprm.datasets._docstring_examples import tested_inputs
from funprm.datasets._files import Source
from funprm.datasets._probes import probe_cases, probe_suite
from funprm.datasets._split import Fractions
from funprm.datasets.base import FileDataset, ProblemBody, ProblemHeader
from funprm.datasets.evalplus import Version
from funprm.errors import DataError
from funprm.python_source import functions, parsed
from funprm.records import Split, Suite


class _MbppRow(msgspec.Struct):
    task_id: int | str
    code: str
    text: str = ""
    """The instruction; the sanitized form calls it `prompt`."""
    prompt: str = ""
    test_list: list[str] = []
    test_imports: list[str] = []
    test_setup_code: str = ""
    challenge_test_list: list[str] = []
    test: str = ""


@dataclass(frozen=True, kw_only=True)
class MbppDataset(FileDataset[_MbppRow]):
    """MBPP, its sanitized form, or MBPP+ from the hub or a file (JSON lines, or one JSON list).

    Hidden tests are all assertions (`test` of MBPP+ where it is given). The statement shows the
    first assertions, which name the function; they are the public tests, and probes are their
    inputs and mutations of them.
    """

    row: ClassVar[type] = _MbppRow
    reader: ClassVar[int] = 2
    title: ClassVar[str] = "MBPP"

    split: Split | Literal["official"] | Fractions = "official"  # type: ignore[assignment]
    """One split for all, fractions by problem, or the official ranges of task numbers: up to 10
    and 601-974 train, 11-510 test, 511-600 validation."""
    version: Version | Literal["sanitized"] = "base"
    """All 974 tasks, the 427 checked ones, or EvalPlus' 378; of a file, what it holds."""
    shown: int = 1
    """Number of assertions that the statement shows."""
    probes: int = 16
    """Number of inputs on which candidates' answers are compared; 0: none."""
    seed: int = 0
    """Of the probes."""
    seconds: float = 6.0
    """CPU limit of all hidden tests of a problem together, and of all public ones."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: there is no such split.
        """
        if self.split != "official":
            super().__post_init__()

    def _source(self) -> Source:
        if self.version == "plus":
            return Source(
                repository="evalplus/mbppplus",
                remote=("data/test-*.parquet",),
                local=(("MbppPlus*.jsonl*",),),
            )
        folder = "full" if self.version == "base" else "sanitized"
        return Source(
            repository="google-research-datasets/mbpp",
            remote=(f"{folder}/*.parquet",),
            local=(("mbpp*.json*",) if folder == "full" else ("sanitized-mbpp.json*",),),
            elsewhere="mbpp.jsonl or sanitized-mbpp.json of google-research/google-research, mbpp",
        )

    def _header(self, row: _MbppRow) -> ProblemHeader:
        number = str(row.task_id).rpartition("/")[2]
        return ProblemHeader(problem_id=f"Mbpp/{number}", platform="mbpp")

    def _split(self, row: _MbppRow, header: ProblemHeader) -> Split | None:
        if self.split != "official":
            return super()._split(row, header)
        number = header.problem_id.partition("/")[2]
        if not number.isdecimal() or 10 < int(number) <= 510:
            return "test"
        return "validation" if 510 < int(number) <= 600 else "train"

    def _body(self, row: _MbppRow, where: str) -> ProblemBody:
        name = _asserted(row)
        if not name:
            raise DataError(
                f"{where} has no tests: expected in `test_list` an assertion that calls a "
                "function of `code`"
            )
        shown = row.test_list[: self.shown]
        suite = Suite(kind="check", entry_point=name, seconds=self.seconds)
        number = str(row.task_id).rpartition("/")[2]
        public, hidden = (
            [inputs for test in tests for inputs in tested_inputs(test, name)]
            for tests in (shown, [*row.test_list, *row.challenge_test_list, row.test])
        )
        probes = probe_cases(public, self.probes, f"{self.seed} {number}", hidden=hidden)
        return ProblemBody(
            statement=_mbpp_statement(row.prompt or row.text, shown),
            hidden=replace(suite, code=_mbpp_check(row, name)),
            public=replace(suite, code=_assertions(row, name, shown)) if shown else None,
            probe=probe_suite(suite, probes),
            reference=row.code,
        )


def _mbpp_statement(text: str, shown: list[str]) -> str:
    if not shown:
        return text.strip()
    tests = "\n".join(shown)
    return f"{text.strip()}\n\nThe program must pass:\n\n```python\n{tests}\n```"


def _asserted(row: _MbppRow) -> str:
    """Name of the function of the reference that the assertions call; empty: they call none."""
    defined = {function.name for function in functions(row.code)}
    calls = (
        node.func.id
        for line in [*row.test_list, row.test]
        for node in ast.walk(parsed(line))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    return next((name for name in calls if name in defined), "")


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
