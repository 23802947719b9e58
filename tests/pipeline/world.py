"""A world in which a whole run takes milliseconds: no model, no sandbox, everything in files.

Its problems ask for a number; a program is text such as `7 5` (helper value, answer), its first
function the first line. The policy reads a "weights" file and a template; the executor has rules.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from funprm import registry
from funprm.interfaces import Job, Request, Sample
from funprm.pipeline import reporting
from funprm.records import CaseResult, Json, Status, Verdict, key_of


@dataclass(kw_only=True, eq=False)
class WorldPolicy:
    """Answers follow from its files, the problem's statement, the prefix and the seed."""

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False
    transport: ClassVar[frozenset[str]] = frozenset({"batch", "device", "pause"})

    weights: str
    template: str
    batch: int = 7
    device: str = "cpu"
    pause: float = 0.0
    """Seconds before each answer."""

    def identity(self) -> Mapping[str, Json]:
        return {
            "weights": Path(self.weights).read_text(),
            "template": Path(self.template).read_text(),
        }

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        for request in requests:
            drawn = key_of(
                dict(self.identity()), request.problem.statement, request.prefix, request.seed
            )
            answer = int(drawn[0], 16) % 3
            begin = request.prefix or f"def helper():\n    return {int(drawn[1], 16) % 3}\n\n\n"
            time.sleep(self.pause)
            code = f"{begin}def solve():\n    return {answer}\n"
            yield Sample(
                key=request.key,
                code=code,
                prompt_tokens=5,
                completion_tokens=3,
                logprob=-0.1 * answer,
            )


@dataclass(kw_only=True, eq=False)
class WorldExecutor:
    """Compares the last number of a program with the expected output, by rules in a file.

    The file `broken` names first digits of jobs that it fails to judge; a fault, no rule.
    """

    transport: ClassVar[frozenset[str]] = frozenset({"workers"})

    rules: str
    workers: int = 1

    def identity(self) -> Mapping[str, Json]:
        return {"rules": Path(self.rules).read_text()}

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        shift = int(Path(self.rules).read_text())
        broken = Path(self.rules).with_name("broken").read_text()
        for job in jobs:
            if job.key[0] in broken:
                yield Verdict(key=job.key, status=Status.NOT_JUDGED, detail="the judge failed")
                continue
            answer = (int(job.code.split()[-1]) + shift) % 3
            results = tuple(
                CaseResult(
                    index=i,
                    status=_status(case.output, answer),
                    digest=key_of(answer),
                )
                for i, case in enumerate(job.suite.unpacked().cases)
            )
            failed = [r.status for r in results if r.status is not Status.PASSED]
            status = failed[0] if failed else Status.PASSED
            yield Verdict(key=job.key, status=status, results=results, total=len(results))

    def close(self) -> None:
        pass


def _status(expected: str | None, answer: int) -> Status:
    right = expected is None or int(expected) == answer
    return Status.PASSED if right else Status.WRONG_ANSWER


@dataclass
class World:
    """The files that determine a run, and its settings."""

    place: Path
    settings: dict[str, Any] = field(default_factory=dict)
    recorded: list[int] = field(default_factory=lambda: [0, 1])
    """Answers of the recorded programs; where the first is not 0, one problem has none."""

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        self.problems = [
            {
                "id": f"p{i}",
                "statement": f"Say {i}.",
                "tests": [
                    {"input": "", "output": str(i % 3), "public": True},
                    {"input": "x", "output": str(i % 3)},
                ],
                "probes": ["y"],
                "split": split,
            }
            for i, split in enumerate(["train", "train", "meta", "validation", "test", "test"])
        ]
        self.texts = {"weights": "w0", "template": "t0", "rules": "0", "broken": ""}
        self.settings = {
            "dataset": {"name": "jsonl", "path": str(self.place / "problems.jsonl")},
            "policy": {
                "name": "world",
                "weights": str(self.place / "weights"),
                "template": str(self.place / "template"),
            },
            "executor": {"name": "world", "rules": str(self.place / "rules")},
            "generate": {"n": 2},
            "rollout": {"k": 2},
            "select": {"bootstrap": 20},
        }
        self.write()

    def write(self) -> None:
        """Bring the files up to date."""
        lines = "".join(json.dumps(problem) + "\n" for problem in self.problems)
        (self.place / "problems.jsonl").write_text(lines)
        for name, text in self.texts.items():
            (self.place / name).write_text(text)
        recorded = [
            {"problem_id": problem["id"], "code": f"def solve():\n    return {answer}\n"}
            for problem in self.problems
            for answer in self.recorded
            if not self.recorded[0] or problem["id"] != "p4"
        ]
        rows = "".join(json.dumps(row) + "\n" for row in recorded)
        (self.place / "programs.jsonl").write_text(rows)

    def replay(self) -> None:
        """Take recorded programs in place of the policy."""
        path = str(self.place / "programs.jsonl")
        self.settings["policy"] = {"name": "replay", "path": path}
        self.settings["rollout"] = {"k": 0}


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the world's parts, and leaves out pictures and waiting for the disk."""
    real = registry.component

    def component(group: registry.Group, name: str) -> Any:
        if name == "world":
            return WorldPolicy if group == "policies" else WorldExecutor
        return real(group, name)

    def write(data: Any, path: Path) -> None:
        path.write_text(str(len(data.problems)))

    monkeypatch.setattr(registry, "component", component)
    monkeypatch.setattr("os.fsync", lambda fd: None)
    monkeypatch.setattr(reporting, "write_picture", write)
    monkeypatch.setattr(reporting, "write_report", write)
