"""Samples, one program per row: those of BigCodeBench and EvalPlus, and plain ones.

`solution` (or `code`) is a complete program. Files for HumanEval may have `completion` instead,
which follows the prompt's code.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from funprm.errors import RecordError
from funprm.formats.programs import Graded, Program, problem_id_of
from funprm.records import Json, Problem, Status


def samples(problem: Problem, programs: Sequence[Graded]) -> Iterator[dict[str, Json]]:
    """The rows of a problem's programs, in the order of sampling."""
    for program in programs:
        yield {"task_id": problem.problem_id, "solution": program.generation.code}


class _Row(msgspec.Struct):
    key: str = ""
    code: str | None = None
    solution: str | None = None
    completion: str | None = None
    passed: bool | None = None
    status: Any = None


def programs_of(row: dict[str, Json], where: str) -> Iterator[Program]:
    """The program of a row; `passed` is its verdict, where the row has one.

    Why it did not pass says `status`, where it is one of ours.

    Raises:
        RecordError: the row has none of `code`, `solution` and `completion`, or two programs.
    """
    problem_id = problem_id_of(row, where)
    try:
        found = msgspec.convert(row, _Row)
    except msgspec.ValidationError as error:
        raise RecordError(f"{where}: not a sample of a program: {error}") from error
    whole = {code for code in (found.code, found.solution) if code is not None}
    if len(whole) > 1:
        raise RecordError(f"{where}: `code` and `solution` differ: expected one program")
    code = next(iter(whole), found.completion)
    if code is None:
        raise RecordError(f"{where}: a sample without `code`, `solution` and `completion`")
    yield Program(
        problem_id=problem_id,
        code=code,
        key=found.key,
        status=None if found.passed is None else _status(found.passed, found.status),
        needs_prompt=not whole,
    )


def _status(passed: bool, told: Json) -> Status:
    """The verdict of `passed`, in the words of `told` where these say the same."""
    words = [s for s in Status if s not in (Status.PASSED, Status.NOT_JUDGED) and s.value == told]
    return Status.PASSED if passed else (*words, Status.WRONG_ANSWER)[0]
