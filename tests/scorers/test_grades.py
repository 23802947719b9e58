import doctest
import math
from pathlib import Path
from typing import Any

import pytest

from funprm.errors import ConfigError, InputError
from funprm.scorers import numbers
from funprm.scorers.grades import GradePrompt, read_prompt, top_probabilities
from tests.scorers.world import PROGRAMS, program


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(numbers).failed == 0


def test_the_score_is_the_mean_grade_of_what_are_grades() -> None:
    prompt = GradePrompt(grades="ABCDE")
    found = [("E", 0.3), (" E", 0.1), ("A", 0.2), ("The", 0.3), ("\n", 0.1)]
    assert prompt.expected(found) == pytest.approx((0.4 * 4 / 4 + 0.2 * 0) / 0.6)
    assert prompt.expected([("C", 0.02)]) == 0.5
    assert prompt.expected([("C", 0.002), ("As", 0.998)]) is None
    assert prompt.expected([]) is None


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("7", 7 / 9),
        ("It handles all 100 cases.\nGrade: 9", 1.0),
        ("**8**/9? No: 3.", 3 / 9),
        ("I cannot say; v2 is better", None),
        ("", None),
    ],
)
def test_the_last_grade_of_a_text_counts(text: str, score: float | None) -> None:
    assert GradePrompt().said(text) == score


def test_a_program_cannot_fill_in_the_prompt() -> None:
    sly = program(7, "print('{{criterion}} {{best}} {{statement}}')\n")
    (turn,) = GradePrompt().asking(sly, "is it right?")
    assert "print('{{criterion}} {{best}} {{statement}}')" in turn["content"]
    assert turn["content"].count("is it right?") == 1
    assert "Return 1." in turn["content"]


def test_top_probabilities_are_read_from_openais_form() -> None:
    top = [{"token": "9", "logprob": -0.5}, {"token": "8", "logprob": -1.0}, {"token": "x"}]
    choice = {"logprobs": {"content": [{"token": "9", "logprob": -0.5, "top_logprobs": top}]}}
    assert top_probabilities(choice) == [("9", math.exp(-0.5)), ("8", math.exp(-1.0))]
    nothing: list[dict[str, Any]] = [{}, {"logprobs": None}, {"logprobs": {"content": []}}]
    for empty in nothing:
        assert top_probabilities(empty) == []


@pytest.mark.parametrize(
    ("text", "grades", "message"),
    [
        ("{{statement}} {{code}}", "1", "two or more different"),
        ("{{statement}} {{code}}", "AAB", "two or more different"),
        ("{{statement}}", "AB", "expected {{code}}"),
        ("{{statement}} {{code}} {{cod}}", "AB", "unknown placeholder 'cod'"),
    ],
)
def test_wrong_prompts_are_refused(text: str, grades: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GradePrompt(text=text, grades=grades)


def test_prompts_are_files(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("{{statement}}\n{{code}}\nGrade?")
    (turn,) = GradePrompt(text=read_prompt(str(file))).asking(PROGRAMS[0], "")
    assert turn["content"] == "Return 0.\ndef f():\n    return 0\nGrade?"
    with pytest.raises(InputError, match="prompt_file"):
        read_prompt(str(tmp_path / "missing.txt"))
