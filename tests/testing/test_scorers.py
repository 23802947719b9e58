from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from funprm.records import LabelledProgram
from funprm.testing import check_scorer


class Good:
    def identity(self) -> dict[str, Any]:
        return {"scorer": "good"}

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...] | None]:
        for program in programs:
            yield tuple(1 / len(step) for step in program.steps)


class Logits(Good):
    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...] | None]:
        for number, program in enumerate(programs):
            yield (3.0 + number,) * (len(program.steps) + 1)


class Jealous(Good):
    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...] | None]:
        for _ in programs:
            yield (1 / len(programs),)


def test_a_good_scorer_passes() -> None:
    check_scorer(Good())


def test_all_broken_promises_are_listed() -> None:
    with pytest.raises(AssertionError) as caught:
        check_scorer(Logits())
    text = str(caught.value)
    assert "a program of 2 steps got 3 scores" in text
    assert "scores depend on the order of the programs" in text
    with pytest.raises(AssertionError, match="another score alone than together"):
        check_scorer(Jealous())
