from dataclasses import replace

import pytest

from funprm.errors import TrainingError
from funprm.prm.training.data import TrainingData
from tests.prm.world import program

PROGRAM = program("p", "abc", [1, 2, 1], [4, 4, 1])


def test_splits_are_by_problem() -> None:
    other = program("q", "abc", [1, 2, 1], [4, 4, 1])
    TrainingData(train=[PROGRAM, PROGRAM], meta=[other]).check()
    with pytest.raises(TrainingError, match="one problem is in both train"):
        TrainingData(train=[PROGRAM], meta=[PROGRAM]).check()
    with pytest.raises(TrainingError, match="one problem is in both meta"):
        TrainingData(train=[PROGRAM], meta=[other], validation=[other]).check()
    renamed = replace(PROGRAM, problem_id="another")
    with pytest.raises(TrainingError, match="one program is in both train"):
        TrainingData(train=[PROGRAM], validation=[renamed]).check()
