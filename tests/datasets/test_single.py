"""One problem from what a user has at hand."""

import pytest

from funprm.datasets.single import problem_of
from funprm.errors import DataError


@pytest.mark.parametrize("name", ["check", "unittest"])
def test_no_test_is_dropped(name: str) -> None:
    """Examples beside test code would choose nothing, and the summary would say `all tests`."""
    fields = {
        "entry_point": "f",
        "tests": [{"input": [1], "output": 2}],
        name: "class TestCases: 0",
    }
    with pytest.raises(DataError, match=f"`{name}` beside tests of input and output"):
        problem_of("Add one.", fields, "here")
