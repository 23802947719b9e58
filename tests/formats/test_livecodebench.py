import json
from typing import Any

import pytest

from funprm.errors import RecordError
from funprm.formats.livecodebench import custom, evaluated, programs_of
from funprm.formats.programs import Graded, Program
from funprm.records import Generation, Problem, Status, Suite

PROBLEM = Problem(
    key="k",
    problem_id="abc1",
    statement="Print.",
    hidden=Suite(kind="stdin"),
    difficulty="easy",
    date="2025-02-01",
    platform="atcoder",
)


def graded(code: str, status: Status, text: str = "") -> Graded:
    made = Generation(key=code, problem_id="abc1", index=0, code=code, text=text)
    return Graded(generation=made, status=status)


PROGRAMS = [
    graded("a\n", Status.PASSED, text="So:\n```python\na\n```"),
    graded("b\n", Status.WRONG_ANSWER),
    graded("c\n", Status.TIME_LIMIT),
    graded("d\n", Status.MEMORY_LIMIT),
]


def test_an_object_has_the_fields_of_the_official_runner() -> None:
    row = evaluated(PROBLEM, PROGRAMS)
    assert list(row) == [
        *("question_title", "question_content", "platform", "question_id", "contest_id"),
        *("contest_date", "starter_code", "difficulty", "output_list", "code_list"),
        *("graded_list", "pass@1", "metadata"),
    ]
    assert row["graded_list"] == [True, False, False, False]
    assert row["pass@1"] == 0.25
    assert row["contest_date"] == "2025-02-01T00:00:00"
    assert row["output_list"][:2] == ["So:\n```python\na\n```", "b\n"]
    assert [json.loads(m).get("error_code") for m in row["metadata"]] == [None, -2, -3, -4]
    assert custom(PROBLEM, PROGRAMS) == {
        "question_id": "abc1",
        "code_list": ["a\n", "b\n", "c\n", "d\n"],
    }


def test_programs_come_back_with_their_verdicts() -> None:
    found = list(programs_of(json.loads(json.dumps(evaluated(PROBLEM, PROGRAMS))), "here"))
    assert [p.code for p in found] == ["a\n", "b\n", "c\n", "d\n"]
    assert [p.text for p in found] == ["So:\n```python\na\n```", "", "", ""]
    # The format knows no memory limit: it is a runtime error there.
    assert [p.status for p in found] == [
        *(Status.PASSED, Status.WRONG_ANSWER, Status.TIME_LIMIT, Status.RUNTIME_ERROR),
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"code_list": ["a", "b"]}, [("a", None), ("b", None)]),
        ({"output_list": ["```\nx\n```"]}, [("x\n", None)]),
        ({"code_list": ["a"], "graded_list": [False]}, [("a", Status.WRONG_ANSWER)]),
        (
            {"code_list": ["a"], "graded_list": [False], "metadata": ['{"error_code": -5}']},
            [("a", Status.NOT_JUDGED)],
        ),
        (
            {"code_list": ["a"], "graded_list": [False], "metadata": ["{"]},
            [("a", Status.WRONG_ANSWER)],
        ),
        ({"code_list": []}, []),
    ],
)
def test_parts_of_the_format(row: dict[str, Any], expected: list[Any]) -> None:
    found: list[Program] = list(programs_of({"question_id": 7, **row}, "here"))
    assert [(p.code, p.status) for p in found] == expected
    assert all(p.problem_id == "7" for p in found)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "here: none of the fields problem_id, task_id, question_id"),
        ({"question_id": "a", "code_list": "b"}, "Expected `array"),
        (
            {"question_id": "a", "code_list": ["b"], "graded_list": [True, True]},
            "graded_list has 2",
        ),
    ],
)
def test_what_is_wrong_is_named(row: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        list(programs_of(row, "here"))
