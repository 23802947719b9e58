"""Rows of programs, whichever tool wrote them: the form is told by a row's fields."""

from typing import Any

import msgspec

from funprm.formats import livecodebench, lm_eval, samples
from funprm.formats.programs import Program
from funprm.row_files import decoded


def programs_in(row: bytes | msgspec.Raw, where: str) -> list[Program]:
    """The programs of a row of `row_files.raw_rows`, with the other tool's verdicts if it has them.

    A row with `code_list` or `output_list` is one of LiveCodeBench's runner, one with
    `filtered_resps` of lm-eval; any other holds one program.

    >>> programs_in(b'{"task_id": "HumanEval/0", "solution": "x = 1"}', "here")[0].problem_id
    'HumanEval/0'

    Raises:
        RecordError: the row is no JSON object, or holds no programs; begins with `where`.
    """
    fields = decoded(row, dict[str, Any], where)
    if "code_list" in fields or "output_list" in fields:
        return list(livecodebench.programs_of(fields, where))
    return list((lm_eval if "filtered_resps" in fields else samples).programs_of(fields, where))
