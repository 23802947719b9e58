"""Programs that carry something from one case to the next, if a judge lets them (`state/`).

Those on standard streams print "fresh" unless they see what an earlier case left; functions return 0.
"""

import random
from pathlib import Path

import pytest

from tests.executors.conftest import Judge, functional, stdin

FILES = sorted((Path(__file__).parent / "state").glob("*/*.py"))
SUITES = {
    "stdin": stdin(*((str(n), "fresh") for n in range(4)), seconds=5.0),
    "functional": functional(*((str(n), "0") for n in range(4)), seconds=5.0),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_nothing_is_carried_over(judge: Judge, path: Path) -> None:
    code = path.read_text().replace("FIRST", repr(random.Random(0).random()))
    verdict = judge(code, SUITES[path.parent.name], stop=False)
    assert verdict.passed is True, verdict
