"""HumanEval and HumanEval+ (arXiv 2107.03374, 2305.01210)."""

import ast
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec

from funprm.datasets._docstring_examples import example_inputs, examples, tested_inputs
from funprm.datasets._files import Source
from funprm.datasets._probes import probe_cases, probe_suite
from funprm.datasets.base import FileDataset, ProblemBody, ProblemHeader
from funprm.datasets.evalplus import Version
from funprm.datasets.evalplus.differential import check_against_reference
from funprm.errors import DataError
from funprm.python_source import functions, parsed
from funprm.records import Case, Suite

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

    def _header(self, row: _HumanEvalRow) -> ProblemHeader:
        return ProblemHeader(problem_id=row.task_id, platform="humaneval")

    def _body(self, row: _HumanEvalRow, where: str) -> ProblemBody:
        prelude = self.prelude + _imports(row.prompt)
        suite = Suite(
            kind="functional", entry_point=row.entry_point, prelude=prelude, seconds=self.seconds
        )
        public, inputs = _docstring_cases(row)
        tested = [*row.base_input, *(row.plus_input or []), *tested_inputs(row.test, "candidate")]
        probes = probe_cases(inputs, self.probes, f"{self.seed} {row.task_id}", hidden=tested)
        return ProblemBody(
            statement=f"Complete the function `{row.entry_point}` as its docstring says.",
            starter_code=row.prompt.strip("\n") + "\n",
            hidden=replace(suite, kind="check", code=_humaneval_check(row, where)),
            public=_public(suite, public, self.public_seconds),
            probe=probe_suite(suite, probes),
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


def _public(suite: Suite, cases: tuple[Case, ...], seconds: float) -> Suite | None:
    return replace(suite, cases=cases, seconds=min(suite.seconds, seconds)) if cases else None


def _imports(source: str) -> str:
    nodes = [n for n in parsed(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
    return "".join(f"{ast.unparse(node)}\n" for node in nodes)
