"""Samples of BigCodeBench and EvalPlus: JSON lines of `task_id` and `solution`.

`solution` is a complete program. Files for HumanEval may have `completion` instead, which follows
the prompt's code.
"""

from collections.abc import Iterator, Sequence

import msgspec

from funprm.errors import RecordError
from funprm.formats.programs import Graded, Program
from funprm.records import Json, Problem, Status


def samples(problem: Problem, programs: Sequence[Graded]) -> Iterator[dict[str, Json]]:
    """The rows of a problem's programs, in the order of sampling."""
    for program in programs:
        yield {"task_id": problem.problem_id, "solution": program.generation.code}


class _Row(msgspec.Struct):
    task_id: str | int
    solution: str | None = None
    completion: str | None = None
    passed: bool | None = None


def programs_of(row: dict[str, Json], where: str) -> Iterator[Program]:
    """The program of a row; `passed` is its verdict, where the row has one.

    Raises:
        RecordError: the row has neither `solution` nor `completion`.
    """
    try:
        found = msgspec.convert(row, _Row)
    except msgspec.ValidationError as error:
        raise RecordError(f"{where}: not a sample of a program: {error}") from error
    code = found.completion if found.solution is None else found.solution
    if code is None:
        raise RecordError(f"{where}: a sample without `solution` and without `completion`")
    status = Status.PASSED if found.passed else Status.WRONG_ANSWER
    yield Program(
        problem_id=str(found.task_id),
        code=code,
        status=None if found.passed is None else status,
        needs_prompt=found.solution is None,
    )
