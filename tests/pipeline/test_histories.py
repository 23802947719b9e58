"""Histories of a run folder: whatever happened before, a run's table is that of a fresh run.

A seeded walk runs, kills, deletes, damages, edits and runs again. Afterwards the same command must
give what it gives in an empty folder, or refuse in a line that says what to do.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funprm import store
from funprm.config import parse_config
from funprm.errors import FunprmError
from funprm.pipeline.stages import run_all
from tests.pipeline.conftest import Quiet
from tests.pipeline.world import World, fast

__all__ = ["fast"]


class KilledError(BaseException):
    """As `kill -9`: nothing after the write happens."""


def results(world: World, folder: Path) -> Any:
    run_all(parse_config({**world.settings, "output": str(folder)}), Quiet())
    summary = json.loads((folder / "summary.json").read_text())
    for cost in summary["costs"]:
        del cost["seconds"]
    return summary, (folder / "table.txt").read_text()


class Walk:
    """One history."""

    def __init__(self, place: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = World(place / "world")
        self.folder = place / "run"
        self.fresh = place / "fresh"
        self.log: list[str] = []
        if seed % 3 == 0:
            self.world.replay()

    def walk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps: list[Callable[[], object]] = [
            self.run,
            lambda: self.killed(monkeypatch),
            self.delete_lines,
            self.damage,
            self.delete_file,
            self.edit_problem,
            self.edit_text,
            self.change_free_setting,
            self.change_setting,
            self.edit_programs,
            self.break_judge,
        ]
        self.run() if self.rng.random() < 0.7 else self.killed(monkeypatch)
        for _ in range(self.rng.randint(1, 5)):
            step = self.rng.choice(steps)
            self.log.append(getattr(step, "__name__", "killed"))
            step()
        self.compare()

    def compare(self) -> None:
        self.world.texts["broken"] = ""
        self.world.write()
        expected = results(self.world, self.fresh)
        shutil.rmtree(self.fresh)
        refusal = ""
        try:
            found = results(self.world, self.folder)
        except FunprmError as error:
            refusal = str(error)
        if refusal:
            assert len(refusal.splitlines()) == 1
            assert any(word in refusal for word in ("delete", "restore", "give another")), refusal
        else:
            assert found == expected, self.log

    # --- what can happen ---

    def run(self) -> None:
        try:
            results(self.world, self.folder)
        except FunprmError as refusal:
            self.log.append(str(refusal))

    def killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that dies at one of its writes, in the middle of a line or before a rename."""
        left = self.rng.randint(0, 60)
        append, replace = store.RecordFile.append, Path.replace

        def dying(self_: Any, *records: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                data = b"".join(map(store.encode_line, records))
                self_._file.write(data[: self.rng.randrange(len(data) + 1)])
                raise KilledError
            append(self_, *records)

        def vanishing(path: Path, target: Any) -> Path:
            nonlocal left
            left -= 5
            if left < 0:
                shutil.copy(path, path.with_name(path.name + "9"))  # what a killed process leaves
                raise KilledError
            return replace(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(store.RecordFile, "append", dying)
            patch.setattr(Path, "replace", vanishing)
            try:
                results(self.world, self.folder)
            except (KilledError, FunprmError) as end:
                self.log.append(repr(end))

    def delete_lines(self) -> None:
        for path in self._files("*.jsonl", 1):
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(line for line in lines if self.rng.random() < 0.8))

    def damage(self) -> None:
        """Another byte somewhere, or a file that ends early."""
        for path in self._files("*", 1):
            data = bytearray(path.read_bytes())
            if not data:
                continue
            place = self.rng.randrange(len(data))
            if self.rng.random() < 0.3:
                del data[place:]
            else:
                data[place] = self.rng.choice(b'0123456789abcxyz"{}\n\\ ')
            path.write_bytes(data)
            self.log.append(f"{path.name}:{place}")

    def delete_file(self) -> None:
        for path in self._files("*", 1):
            self.log.append(path.name)
            path.unlink()

    def edit_problem(self) -> None:
        world, rng = self.world, self.rng
        problem: Any = rng.choice(world.problems)
        what = rng.choice(["hidden", "public", "statement", "probes", "drop", "add", "limits"])
        self.log.append(what)
        if what in ("hidden", "public"):
            problem["tests"][what == "hidden"]["output"] = str(rng.randrange(3))
        elif what == "statement":
            problem["statement"] += "!"
        elif what == "probes":
            problem["probes"] = ["y", "z"][: rng.randint(1, 2)]
        elif what == "limits":
            problem["seconds"] = rng.choice([6.0, 7.0])
        elif what == "drop" and len(world.problems) > 5:
            world.problems.remove(problem) if problem["split"] != "test" else None
        elif what == "add":
            number = len(world.problems)
            world.problems.append({**problem, "id": f"n{number}-{rng.random()}"})
        world.write()

    def edit_text(self) -> None:
        name = self.rng.choice(list(self.world.texts))
        self.log.append(name)
        self.world.texts[name] = str(self.rng.randrange(3))
        self.world.write()

    def edit_programs(self) -> None:
        self.world.recorded = self.rng.choices(range(3), k=self.rng.randint(2, 3))
        self.world.write()

    def break_judge(self) -> None:
        """Some jobs cannot be judged for a while."""
        self.world.texts["broken"] = "".join(self.rng.choices("0123456789abcdef", k=6))
        self.world.write()
        self.run()

    def change_free_setting(self) -> None:
        settings, rng = self.world.settings, self.rng
        settings["policy"]["batch"] = rng.randint(1, 9)
        if settings["policy"]["name"] == "world":
            settings["policy"]["device"] = rng.choice(["cpu", "gpu"])
        settings["executor"]["workers"] = rng.randint(1, 3)
        settings["select"]["bootstrap"] = rng.choice([20, 30])

    def change_setting(self) -> None:
        settings, rng = self.world.settings, self.rng
        name, values = rng.choice(
            [("generate", {"n": rng.randint(1, 3)}), ("seed", rng.randint(0, 1))]
        )
        self.log.append(f"{name} {values}")
        if rng.random() < 0.5:
            settings[name] = values

    def _files(self, pattern: str, count: int) -> list[Path]:
        found = sorted(path for path in self.folder.glob(pattern) if path.is_file())
        return self.rng.sample(found, min(count, len(found)))


@pytest.mark.usefixtures("fast")
def test_histories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(50):
        Walk(tmp_path / str(seed), seed).walk(monkeypatch)
        shutil.rmtree(tmp_path / str(seed))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("fast")
def test_a_thousand_histories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(50, 1050):
        Walk(tmp_path / str(seed), seed).walk(monkeypatch)
        shutil.rmtree(tmp_path / str(seed))
