"""How a language model is asked for a grade, and what its answer says: pure."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from funprm.errors import ConfigError, InputError
from funprm.records import Json, LabelledProgram

PROMPT = """\
You review a Python program that was written for a problem. Judge one thing: {{criterion}}

# Problem

{{statement}}

# Program

```python
{{code}}
```

Answer with one grade and nothing else, from {{worst}} (surely not) to {{best}} (surely): {{grades}}
"""
CORRECTNESS = (
    "does the program solve the problem for every input that the statement allows, "
    "edge cases and limits of time included?"
)
DIGITS = "0123456789"
_PLACEHOLDERS = ("statement", "code", "criterion", "worst", "best", "grades")
_LEAST_SHARE = 0.01
"""Probability that an answer must give to grades: with less, it is no answer to the question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GradePrompt:
    """A question for a grade.

    Raises:
        ConfigError: fewer than two grades, one given twice, or a prompt without its placeholders.
    """

    text: str = PROMPT
    grades: str = DIGITS
    """One character per grade, worst first."""

    def __post_init__(self) -> None:
        if len(self.grades) < 2 or len(set(self.grades)) < len(self.grades):
            raise ConfigError(
                f"grades = {self.grades!r}: expected two or more different characters"
            )
        for name in ("statement", "code"):
            if f"{{{{{name}}}}}" not in self.text:
                raise ConfigError(f"prompt: expected {{{{{name}}}}}, where the {name} goes")
        unknown = set(re.findall(r"\{\{(\w+)\}\}", self.text)) - set(_PLACEHOLDERS)
        if unknown:
            known = ", ".join(_PLACEHOLDERS)
            raise ConfigError(f"prompt: unknown placeholder {min(unknown)!r}; known are: {known}")

    def asking(self, program: LabelledProgram, criterion: str) -> list[dict[str, str]]:
        """The chat that asks for a grade."""
        values = {
            "statement": program.statement,
            "code": "".join(program.steps).strip("\n"),
            "criterion": criterion,
            "worst": self.grades[0],
            "best": self.grades[-1],
            "grades": ", ".join(self.grades),
        }
        # In one pass: what a statement or a program spells is no placeholder.
        filled = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], self.text)
        return [{"role": "user", "content": filled.strip()}]

    def grade_of(self, token: str) -> int | None:
        """The number of the grade that a token spells, from 0; None: it spells none."""
        text = token.strip()
        return self.grades.find(text) if len(text) == 1 and text in self.grades else None

    def expected(self, probabilities: Iterable[tuple[str, float]]) -> float | None:
        """The mean grade, mapped to [0, 1], under the probabilities of an answer's first token.

        Tokens that spell no grade are left out, and the rest counts as a whole.

        Args:
            probabilities: tokens, each with its probability.

        Returns:
            None where grades have next to no probability: it is no answer to the question.
        """
        shares = [0.0] * len(self.grades)
        for token, probability in probabilities:
            if (grade := self.grade_of(token)) is not None:
                shares[grade] += probability
        total = math.fsum(shares)
        if total < _LEAST_SHARE:
            return None
        mean = math.fsum(grade * share for grade, share in enumerate(shares)) / total
        return min(1.0, max(0.0, mean / (len(shares) - 1)))

    def said(self, text: str) -> float | None:
        """The last grade that a text names as a word of its own, mapped to [0, 1]."""
        marks = "".join(map(re.escape, self.grades))
        found = re.findall(rf"(?<!\w)([{marks}])(?!\w)", text)
        return self.grades.index(found[-1]) / (len(self.grades) - 1) if found else None


def read_prompt(file: str) -> str:
    """The prompt in a file; the shipped one where none is named.

    Raises:
        InputError: it cannot be read.
    """
    if not file:
        return PROMPT
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"prompt_file = {file!r} cannot be read ({error}): expected a text with "
            "{{statement}} and {{code}}"
        ) from error


def mean_of(found: Sequence[float | None]) -> float | None:
    """The mean of the grades that there are."""
    known = [grade for grade in found if grade is not None]
    return math.fsum(known) / len(known) if known else None


def top_probabilities(choice: Mapping[str, Json]) -> list[tuple[str, float]]:
    """The likeliest first tokens of a chat choice; empty where the server gives none."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    top = first.get("top_logprobs") if isinstance(first, dict) else None
    return [
        (str(item.get("token", "")), math.exp(min(0.0, float(item["logprob"]))))
        for item in (top if isinstance(top, list) else ())
        if isinstance(item, dict) and isinstance(item.get("logprob"), int | float)
    ]
