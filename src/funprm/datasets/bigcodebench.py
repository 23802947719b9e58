"""BigCodeBench (arXiv 2406.15877): tasks that use many libraries, judged by unit tests."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from funprm.datasets.rows import data_files, read_rows, with_key
from funprm.datasets.source import parsed
from funprm.datasets.split import Fractions, assign, check_split, require_some
from funprm.errors import DataError, InputError
from funprm.records import Problem, Split, Suite

_SOURCE = (
    "export the data set bigcode/bigcodebench or bigcode/bigcodebench-hard from "
    "huggingface.co/datasets as JSON lines (split v0.1.4)"
)


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
class BigCodeBenchDataset:
    """BigCodeBench, full or hard, from a file of JSON lines.

    The program is complete, imports included; hidden tests are a `unittest` suite.
    """

    path: str
    """A file, or the folder of `BigCodeBench*.jsonl` (plain or gzipped)."""
    subset: Literal["full", "hard"] = "full"
    """Which file of a folder: `*hard*`, in any case, or the other one."""
    prompt: Literal["complete", "instruct"] = "complete"
    """Complete code with a docstring, or follow an instruction."""
    calibrated: bool = True
    """Place the prompt's code with an empty body before the program, as the official judge does:
    a program that forgot its imports still works."""
    libraries: tuple[str, ...] | None = None
    """Only tasks that need no third-party package but these; None: all tasks."""
    split: Split | Fractions = "test"
    """One split for all problems, or fractions of them by problem."""
    seconds: float = 240.0
    """CPU limit of all tests of a problem together; the default is the official one."""
    memory_mb: int = 4096

    def __post_init__(self) -> None:
        check_split(self.split)

    def load(self) -> Iterator[Problem]:
        """The problems, in the file's order.

        Raises:
            InputError: no such file.
            RecordError: a line that cannot be read.
            DataError: a problem without tests; no problem that needs only `libraries`.
        """
        count = 0
        for where, row in read_rows(self._file(), _Row):
            if self.libraries is None or _third_party(row) <= set(self.libraries):
                yield self._problem(row, where)
                count += 1
        require_some(count, f"of BigCodeBench that need only {self.libraries}")

    def _file(self) -> Path:
        if Path(self.path).is_file():
            return Path(self.path)
        files = data_files(self.path, ["*[bB]ig[cC]ode[bB]ench*.jsonl*"], _SOURCE)
        wanted = [f for f in files if ("hard" in f.name.lower()) == (self.subset == "hard")]
        if not wanted:
            raise InputError(f"no file of the {self.subset} set in {self.path!r}: {_SOURCE}")
        return wanted[0]

    def _problem(self, row: _Row, where: str) -> Problem:
        if "TestCases" not in row.test:
            raise DataError(
                f"{where}: problem {row.task_id!r} has no tests: expected a class "
                "TestCases in `test`"
            )
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
        return with_key(
            Problem(
                key="",
                problem_id=row.task_id,
                statement=instruction if complete else row.instruct_prompt,
                starter_code=row.complete_prompt if complete else "",
                hidden=suite,
                split=assign(row.task_id, self.split),
                reference=reference if row.canonical_solution else None,
                platform="bigcodebench",
            )
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
