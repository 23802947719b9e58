import json
from pathlib import Path
from typing import Any

import pytest

from funprm.datasets.mini import MiniDataset


class Quiet:
    """Progress that shows nothing, and remembers which stages worked."""

    def __init__(self) -> None:
        self.worked: list[str] = []

    def start(self, stage: str, total: int, done: int = 0) -> None:
        self.worked.append(stage)

    def advance(self, count: int = 1) -> None:
        pass

    def finish(self, note: str) -> None:
        pass


@pytest.fixture
def progress() -> Quiet:
    return Quiet()


@pytest.fixture
def replayed(tmp_path: Path) -> dict[str, Any]:
    """Settings of a run without a model: four recorded programs per problem, some right."""
    lines = []
    for number, problem in enumerate(MiniDataset(train=2, meta=1, validation=1, test=6).load()):
        assert problem.reference is not None
        argument = "xs" if "(xs" in problem.reference else "text"
        wrong = f"def solve({argument}):\n    return None\n"
        helper = f"def shown(x):\n    return x\n\n\n{problem.reference}"
        for index, code in enumerate([wrong, problem.reference, helper, wrong]):
            shown = wrong if number == 4 else code
            row = {"problem_id": problem.problem_id, "index": index, "code": shown}
            lines.append(json.dumps(row))
    path = tmp_path / "programs.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return {
        "output": str(tmp_path / "run"),
        "dataset": {"name": "mini", "train": 2, "meta": 1, "validation": 1, "test": 6},
        "policy": {"name": "replay", "path": str(path)},
        "executor": {"name": "local", "workers": 1},
        "generate": {"n": 4},
        "rollout": {"k": 0},
        "select": {"bootstrap": 200},
    }
