"""BigCodeBench (arXiv 2406.15877): tasks that use many libraries, judged by unit tests."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from funprm.datasets._files import Source
from funprm.datasets.base import FileDataset, ProblemBody, ProblemHeader
from funprm.errors import DataError, InputError
from funprm.python_source import parsed
from funprm.records import Split, Suite

_REPOSITORIES = {"full": "bigcode/bigcodebench", "hard": "bigcode/bigcodebench-hard"}
_VERSION = "v0.1.4"


class _Row(msgspec.Struct):
    task_id: str
    complete_prompt: str
    instruct_prompt: str
    code_prompt: str
    test: str
    entry_point: str
    canonical_solution: str = ""
    libs: str | list[str] = "[]"


@dataclass(frozen=True, kw_only=True)
class BigCodeBenchDataset(FileDataset[_Row]):
    """BigCodeBench, full or hard, from the hub or a file.

    The program is complete, imports included; hidden tests are a `unittest` suite.
    """

    row: ClassVar[type] = _Row
    title: ClassVar[str] = "BigCodeBench"

    subset: Literal["full", "hard"] = "full"
    """Which data set of the hub, or file of a folder: `*hard*`, in any case, or the other one."""
    prompt: Literal["complete", "instruct"] = "complete"
    """Complete code with a docstring, or follow an instruction."""
    calibrated: bool = True
    """Place the prompt's code with an empty body before the program, as the official judge does:
    a program that forgot its imports still works."""
    libraries: tuple[str, ...] | None = None
    """Only tasks that need no third-party package but these; None: all tasks."""
    seconds: float = 240.0
    """CPU limit of all tests of a problem together; the default is the official one."""
    memory_mb: int = 4096

    def _source(self) -> Source:
        return Source(
            repository=_REPOSITORIES[self.subset],
            remote=(f"data/{_VERSION}-*.parquet",),
            local=(("*[bB]ig[cC]ode[bB]ench*.jsonl*", "*[bB]ig[cC]ode[bB]ench*.parquet"),),
        )

    def _files(self) -> list[Path]:
        files = super()._files()
        if not Path(self.path).is_dir() or files[0].name.startswith(_VERSION):
            return files
        wanted = [f for f in files if ("hard" in f.name.lower()) == (self.subset == "hard")]
        if not wanted:
            raise InputError(
                f"no file of the {self.subset} set in {self.path!r}: get it from "
                f"huggingface.co/datasets/{_REPOSITORIES[self.subset]}"
            )
        return wanted[:1]

    def _selection(self) -> str:
        if self.libraries is None:
            return super()._selection()
        return f" that need only {self.libraries}"

    def _header(self, row: _Row) -> ProblemHeader:
        return ProblemHeader(problem_id=row.task_id, platform="bigcodebench")

    def _split(self, row: _Row, header: ProblemHeader) -> Split | None:
        if self.libraries is not None and not _third_party(row) <= set(self.libraries):
            return None
        return super()._split(row, header)

    def _body(self, row: _Row, where: str) -> ProblemBody:
        if "TestCases" not in row.test:
            raise DataError(f"{where} has no tests: expected a class TestCases in `test`")
        complete = self.prompt == "complete"
        suite = Suite(
            kind="unittest",
            entry_point=row.entry_point,
            code=row.test,
            prelude=f"{row.code_prompt.rstrip()}\n    pass\n" if self.calibrated else "",
            seconds=self.seconds,
            memory_mb=self.memory_mb,
        )
        instruction = f"Complete the function `{row.entry_point}` as its docstring says."
        reference = row.complete_prompt + row.canonical_solution
        return ProblemBody(
            statement=instruction if complete else row.instruct_prompt,
            starter_code=row.complete_prompt if complete else "",
            hidden=suite,
            reference=reference if row.canonical_solution else None,
        )


def _third_party(row: _Row) -> set[str]:
    """Packages that the task names or its code imports, and Python does not bring."""
    names = set(ast.literal_eval(row.libs) if isinstance(row.libs, str) else row.libs)
    for source in (row.complete_prompt, row.test):
        for node in ast.walk(parsed(source)):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names
