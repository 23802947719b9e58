"""LiveCodeBench's files of programs: what its runner and its custom evaluator write and read.

`lcb_runner` saves a JSON list with one object per problem (`..._eval_all.json`): the problem's
fields, `output_list`, `code_list`, and after the evaluation `graded_list`, `pass@1` and
`metadata` (per program a JSON text with `error_code`). Its custom evaluator needs `question_id`
and `code_list` alone.
"""

import json
from collections.abc import Iterator, Sequence

import msgspec

from funprm.errors import RecordError
from funprm.formats.programs import Graded, Program, problem_id_of
from funprm.prompts import extract_code
from funprm.records import Json, Problem, Status

_ERROR_CODES = {
    Status.WRONG_ANSWER: -2,
    Status.TIME_LIMIT: -3,
    Status.RUNTIME_ERROR: -4,
    Status.MEMORY_LIMIT: -4,
    Status.OUTPUT_LIMIT: -4,
}
_STATUSES = {
    -2: Status.WRONG_ANSWER,
    -3: Status.TIME_LIMIT,
    -4: Status.RUNTIME_ERROR,
    -5: Status.NOT_JUDGED,
}


def evaluated(problem: Problem, programs: Sequence[Graded]) -> dict[str, Json]:
    """A problem's object of an `eval_all` file.

    What we do not store (title, contest) is empty. A program without a verdict must not be among
    them: the format has no place for it.

    Args:
        problem: the problem.
        programs: its programs in the order of sampling, all judged, at least one.
    """
    graded = [program.status is Status.PASSED for program in programs]
    return {
        "question_title": "",
        "question_content": problem.statement,
        "platform": problem.platform,
        "question_id": problem.problem_id,
        "contest_id": "",
        "contest_date": f"{problem.date or '1970-01-01'}T00:00:00",
        "starter_code": problem.starter_code,
        "difficulty": problem.difficulty,
        "output_list": [p.generation.text or p.generation.code for p in programs],
        "code_list": [p.generation.code for p in programs],
        "graded_list": graded,
        "pass@1": sum(graded) / len(graded),
        "metadata": [_metadata(program.status) for program in programs],
    }


def custom(problem: Problem, programs: Sequence[Graded]) -> dict[str, Json]:
    """A problem's object of a file for the custom evaluator."""
    return {
        "question_id": problem.problem_id,
        "code_list": [program.generation.code for program in programs],
    }


def _metadata(status: Status) -> str:
    if status is Status.PASSED:
        return json.dumps({})
    return json.dumps({"error_code": _ERROR_CODES[status], "error_message": status.value})


class _Row(msgspec.Struct):
    code_list: list[str] | None = None
    output_list: list[str] | None = None
    graded_list: list[bool] | None = None
    metadata: list[Json] | None = None


def programs_of(row: dict[str, Json], where: str) -> Iterator[Program]:
    """The programs of one object of such a file, with verdicts if it has them.

    Where only raw answers are given, programs are taken out of them.

    Raises:
        RecordError: the object is none of this format, or its lists differ in length.
    """
    problem_id = problem_id_of(row, where)
    try:
        found = msgspec.convert(row, _Row)
    except msgspec.ValidationError as error:
        raise RecordError(f"{where}: not an object of LiveCodeBench's runner: {error}") from error
    texts = found.output_list or []
    codes = [extract_code(t) for t in texts] if found.code_list is None else found.code_list
    _check_lengths(found, len(codes), where)
    for index, code in enumerate(codes):
        yield Program(
            problem_id=problem_id,
            code=code,
            text=texts[index] if texts and texts[index] != code else "",
            status=_status(found, index),
        )


def _check_lengths(row: _Row, count: int, where: str) -> None:
    for name in ("output_list", "graded_list", "metadata"):
        values = getattr(row, name)
        if values and len(values) != count:
            raise RecordError(
                f"{where}: {name} has {len(values)} entries, expected one per program, {count}"
            )


def _status(row: _Row, index: int) -> Status | None:
    if not row.graded_list:
        return None
    if row.graded_list[index]:
        return Status.PASSED
    code = _error_code(row.metadata[index]) if row.metadata else None
    return _STATUSES.get(code or 0, Status.WRONG_ANSWER)


def _error_code(metadata: Json) -> int | None:
    try:
        found = json.loads(metadata) if isinstance(metadata, str) else metadata
    except json.JSONDecodeError:
        return None
    code = found.get("error_code") if isinstance(found, dict) else None
    return code if isinstance(code, int) else None
