from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from funprm.commands.robustness import robustness
from funprm.config import parse_config
from funprm.errors import ConfigError, StoreError
from funprm.evaluation.edits import EDITS, PRAISE
from funprm.pipeline.stages import run_all
from funprm.records import Json, LabelledProgram
from tests.pipeline.conftest import Quiet, progress, replayed

__all__ = ["progress", "replayed"]


class Flattered:
    """Believes what comments say; else it knows a helper called `shown` by its name."""

    def identity(self) -> Mapping[str, Json]:
        return {"scorer": "flattered"}

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        for program in programs:
            code = "".join(program.steps)
            yield (0.9 if PRAISE in code else 0.6 if "shown" in code else 0.2,)


class Deaf(Flattered):
    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        yield from ((0.5,) for _ in programs)


@pytest.fixture
def settings(replayed: dict[str, Any]) -> dict[str, Any]:
    parts = {name.lower(): {"name": f"{__name__}:{name}"} for name in ("Flattered", "Deaf")}
    return {**replayed, "scorers": parts}


def test_scores_that_praise_moves_are_told(settings: dict[str, Any], progress: Quiet) -> None:
    config = parse_config(settings)
    with pytest.raises(StoreError, match="not complete"):
        robustness(config, progress)
    run_all(config, progress)
    found = robustness(config, progress)
    rows = {(row.scorer, row.edit): row for row in found.rows}
    assert len(rows) == 2 * len(EDITS)
    # Five problems have a wrong, a right and a parted program, one has a wrong one alone.
    assert (found.problems, found.programs) == (6, 16)
    praised = rows["flattered", "praise in comments"]
    assert praised.programs == 16
    assert praised.distance == pytest.approx((11 * 0.7 + 5 * 0.3) / 16)
    assert (praised.pairs, praised.overtaken) == (5, 1.0)
    assert rows["flattered", "dead code"].distance == 0
    assert rows["flattered", "dead code"].overtaken == 0
    assert rows["flattered", "helpers renamed"].distance > 0
    assert all(row.distance == 0 for key, row in rows.items() if key[0] == "deaf")
    assert "praise in comments" in found.text()
    assert found.json()["rows"][0]["scorer"] == "flattered"


def test_less_can_be_asked_for(settings: dict[str, Any], progress: Quiet) -> None:
    config = parse_config(settings)
    run_all(config, progress)
    found = robustness(config, progress, programs=3, edits=["dead code"])
    assert found.problems == 1
    assert [row.edit for row in found.rows] == ["dead code"] * 2
    with pytest.raises(ConfigError, match="unknown edit 'rename'"):
        robustness(config, progress, edits=["rename"])
    with pytest.raises(ConfigError, match="nothing to check"):
        robustness(parse_config({**settings, "scorers": {}}), progress)
