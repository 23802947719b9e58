import json
from typing import Any

import pytest

from funprm.errors import RecordError
from funprm.formats.programs import Program
from funprm.formats.reading import programs_in
from funprm.records import Status

CODE = "def f(x):\n    return x\n"


def read(**fields: Any) -> list[Program]:
    row = {"doc_id": 0, "doc": {"task_id": "HumanEval/0", "prompt": "def f(x):\n"}, "target": "t"}
    return programs_in(json.dumps({**row, **fields}).encode(), "here")


def test_all_answers_of_a_row_are_programs() -> None:
    two = read(filtered_resps=[[CODE, f"```python\n{CODE}```"]], **{"pass@1": 0.5})
    assert [(p.problem_id, p.code, p.status) for p in two] == [("HumanEval/0", CODE, None)] * 2
    assert two[1].text.startswith("```")
    (one,) = read(filtered_resps=[CODE])
    assert (one.code, one.status, one.needs_prompt) == (CODE, None, False)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("pass@1", 1.0, Status.PASSED),
        ("pass_at_1", 0, Status.WRONG_ANSWER),
        ("pass@1", 0.5, None),
        ("exact_match", 1.0, None),
    ],
)
def test_the_task_s_verdict_is_that_of_its_only_program(
    name: str, value: float, status: Status | None
) -> None:
    (program,) = read(filtered_resps=[[CODE]], **{name: value})
    assert program.status is status


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filtered_resps": [[CODE]], "doc": "x"}, "here: `doc` is 'x', expected the problem's"),
        ({"filtered_resps": [[CODE]], "doc": {"text": "x"}}, "here: doc: none of the fields"),
        ({"filtered_resps": []}, "`filtered_resps` holds .*, expected texts"),
        ({"filtered_resps": [[0.5, True]]}, "`filtered_resps` holds 0.5, expected texts"),
    ],
)
def test_rows_of_other_tasks_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read(**fields)
