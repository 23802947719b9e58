"""HumanEval and MBPP, and their EvalPlus forms (arXiv 2107.03374, 2108.07732, 2305.01210)."""

import ast
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import msgspec

from funprm.datasets._docstring_examples import example_inputs, examples, tested_inputs
from funprm.datasets._files import Source
from funprm.datasets._probes import PROBE_SECONDS, probe_cases
from funprm.datasets._split import Fractions
from funprm.datasets.base import Content, Facts, FileDataset
from funprm.datasets.evalplus.differential import check_against_reference
from funprm.errors import DataError
from funprm.python_source import functions, parsed
from funprm.records import Case, Split, Suite

Version = Literal["base", "plus"]

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
class HumanEvalDataset(FileDataset[_HumanEvalRow]):
    """HumanEval or HumanEval+ from the hub or a file.

    The program is complete: it begins with the prompt's code. Hidden tests are the official ones
    (`test`), or, for EvalPlus' files of inputs, a comparison with the reference solution. Public
    tests are the examples of the docstring; probes are their inputs and mutations of them.
    """

    row: ClassVar[type] = _HumanEvalRow
    reader: ClassVar[int] = 2
    title: ClassVar[str] = "HumanEval"

    version: Version = "base"
    """With the original tests, or with the many more of EvalPlus; of a file, what it holds."""
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

    def _source(self) -> Source:
        if self.version == "plus":
            return Source(
                repository="evalplus/humanevalplus",
                remote=("data/test-*.parquet",),
                local=(("HumanEvalPlus*.jsonl*",),),
                elsewhere="HumanEvalPlus.jsonl.gz of evalplus/humanevalplus_release",
            )
        return Source(
            repository="openai/openai_humaneval",
            remote=("openai_humaneval/test-*.parquet",),
            local=(("HumanEval.jsonl*", "humaneval.jsonl*"),),
            elsewhere="HumanEval.jsonl.gz from the repository openai/human-eval, folder data",
        )

    def _facts(self, row: _HumanEvalRow) -> Facts:
        return Facts(problem_id=row.task_id, platform="humaneval")

    def _content(self, row: _HumanEvalRow, where: str) -> Content:
        prelude = self.prelude + _imports(row.prompt)
        suite = Suite(
            kind="functional", entry_point=row.entry_point, prelude=prelude, seconds=self.seconds
        )
        public, inputs = _docstring_cases(row)
        tested = [*row.base_input, *(row.plus_input or []), *tested_inputs(row.test, "candidate")]
        probes = probe_cases(inputs, self.probes, f"{self.seed} {row.task_id}", hidden=tested)
        return Content(
            statement=f"Complete the function `{row.entry_point}` as its docstring says.",
            starter_code=row.prompt.strip("\n") + "\n",
            hidden=replace(suite, kind="check", code=_humaneval_check(row, where)),
            public=_public(suite, public, self.public_seconds),
            probe=_probe(suite, probes),
            reference=row.prompt + row.canonical_solution if row.canonical_solution else None,
        )


def _humaneval_check(row: _HumanEvalRow, where: str) -> str:
    inputs = [*row.base_input, *(row.plus_input or [])]
    if row.test:
        return row.test
    if not inputs or not row.canonical_solution:
        raise DataError(
            f"{where} has no tests: expected `test`, or `base_input` with `canonical_solution`"
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

    def _facts(self, row: _MbppRow) -> Facts:
        number = str(row.task_id).rpartition("/")[2]
        return Facts(problem_id=f"Mbpp/{number}", platform="mbpp")

    def _split(self, row: _MbppRow, facts: Facts) -> Split | None:
        if self.split != "official":
            return super()._split(row, facts)
        number = facts.problem_id.partition("/")[2]
        if not number.isdecimal() or 10 < int(number) <= 510:
            return "test"
        return "validation" if 510 < int(number) <= 600 else "train"

    def _content(self, row: _MbppRow, where: str) -> Content:
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
        return Content(
            statement=_mbpp_statement(row.prompt or row.text, shown),
            hidden=replace(suite, code=_mbpp_check(row, name)),
            public=replace(suite, code=_assertions(row, name, shown)) if shown else None,
            probe=_probe(suite, probes),
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
