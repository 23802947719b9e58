"""A judge that starts no process, and short ways to write files."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from funprm.interfaces import Job
from funprm.records import Json, Status, Verdict
from tests.pipeline.conftest import progress, replayed

__all__ = ["progress", "replayed"]

PROBLEM = {
    "key": "p",
    "problem_id": "p",
    "statement": "Add one.",
    "hidden": {
        "kind": "functional",
        "entry_point": "f",
        "cases": [{"input": "1", "output": "2"}],
    },
    "public": {
        "kind": "functional",
        "entry_point": "f",
        "cases": [{"input": "2", "output": "3"}],
    },
}


class FakeJudge:
    """Programs pass that say `right`; the judge refuses those that say `refuse`."""

    def __init__(self, fails_after: int = 10**9, **rules: Json) -> None:
        self.rules = rules
        self.judged: list[str] = []
        self._left = fails_after

    def identity(self) -> Mapping[str, Json]:
        return self.rules

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        for job in jobs:
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            self.judged.append(job.code)
            status = Status.PASSED if "right" in job.code else Status.WRONG_ANSWER
            if "refuse" in job.code:
                status = Status.NOT_JUDGED
            yield Verdict(key=job.key, status=status, total=1, detail=status.value)

    def close(self) -> None:
        pass


class Steps:
    """Progress that counts, and remembers what was said at the end."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self.notes: list[str] = []

    def start(self, stage: str, total: int, done: int = 0) -> None:
        self.total, self.done = total, done

    def advance(self, count: int = 1) -> None:
        self.done += count

    def finish(self, note: str) -> None:
        self.notes.append(note)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
