"""Judging programs from files: what `funprm judge PROBLEMS PROGRAMS --out VERDICTS` does."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from funprm.errors import DataError
from funprm.interfaces import Executor, Job, Progress
from funprm.records import Problem, Status, Suite, Verdict, key_of
from funprm.store import RecordFile

SuiteName = Literal["hidden", "public", "probe"]
NO_SUITE = "no suite"
UNREADABLE = "unreadable"

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What is read of a line of PROGRAMS (a generation, a rollout, or just this)."""

    key: str
    problem_id: str
    code: str


class _Named(msgspec.Struct):
    """What is needed of a problem that cannot be used."""

    problem_id: str


@dataclass(kw_only=True)
class FileJudge:
    """Judges every program by the tests of its problem; one verdict a line, with its key.

    Verdicts that the output already holds are kept, so the same call goes on after a crash, and
    judges again what was not judged. Equal programs of a problem are judged once. A record that
    cannot be used costs its own verdicts, never those of others.

    Attributes:
        executor: the judge; it is not closed.
        suite: which tests of the problems.
        warn: told of every record that cannot be used, in one line that names it.
        progress: shows how far it is.
        counts: number of programs by status; `no suite` counts those whose problem has no such
            tests, `unreadable` the lines that are no programs.
    """

    executor: Executor
    suite: SuiteName = "hidden"
    warn: Callable[[str], object] = lambda line: None
    progress: Progress | None = None
    counts: Counter[str] = field(default_factory=Counter)
    _stored: dict[str, Status] = field(default_factory=dict, init=False)

    def judge(self, problems: Path, programs: Path, out: Path) -> dict[str, int]:
        """Judge a file of programs.

        Args:
            problems: `problems.jsonl`, as the stage `load` writes it.
            programs: JSON lines with `key`, `problem_id` and `code`; other fields are ignored.
            out: `verdicts.jsonl`; made if absent.

        Returns:
            `counts`, of the programs that this call judged.

        Raises:
            DataError: a file is missing.
            RecordError: a line of `out` is no verdict.
            StoreError: `out` cannot be written.
            ExecutorError: the judge cannot work.
        """
        for path in (problems, programs):
            if not path.is_file():
                raise DataError(f"no file {path}; expected JSON lines")
        suites = self._read_suites(problems)
        with RecordFile(out, Verdict) as file:
            self._stored = {verdict.key: verdict.status for verdict in file}
            wanted = self._wanted(programs, suites, file)
            if self.progress:
                done = sum(s is not Status.NOT_JUDGED for s in self._stored.values())
                left = sum(len(keys) for _, keys in wanted)
                self.progress.start("judge", done + left, done)
            self._judge(wanted, file)
        return dict(self.counts)

    def _judge(self, wanted: list[tuple[Job, list[str]]], file: RecordFile[Verdict]) -> None:
        keys = {job.key: keys for job, keys in wanted}
        for verdict in self.executor.judge(job for job, _ in wanted):
            twins = keys[verdict.key]
            if verdict.status is Status.NOT_JUDGED:
                self.warn(f"not judged: program {twins[0]!r}: {verdict.detail}")
            self._note(file, *(replace(verdict, key=key) for key in twins))
            if self.progress:
                self.progress.advance(len(twins))

    def _note(self, file: RecordFile[Verdict], *verdicts: Verdict) -> None:
        for verdict in verdicts:
            if verdict.status is not Status.NOT_JUDGED or verdict.key not in self._stored:
                file.append(verdict)
        self.counts.update(verdict.status.value for verdict in verdicts)

    def _read_suites(self, path: Path) -> dict[str, Suite | None | str]:
        """Suites by problem; a text says why there is none."""
        suites: dict[str, Suite | None | str] = {}
        for where, line in _lines(path):
            try:
                problem = msgspec.json.decode(line, type=Problem)
                suites[problem.problem_id] = getattr(problem, self.suite)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                fault = f"{where}: not a problem ({error})"
                self.warn(f"{fault}; its programs are not judged")
                name = _decoded(line, _Named)
                if name is not None:
                    suites[name.problem_id] = fault
        return suites

    def _wanted(
        self,
        path: Path,
        suites: Mapping[str, Suite | None | str],
        file: RecordFile[Verdict],
    ) -> list[tuple[Job, list[str]]]:
        """Distinct programs still to be judged, each with the keys that share its verdict."""
        found: dict[str, tuple[Job, list[str]]] = {}
        for program in self._programs(path):
            suite = suites.get(program.problem_id, f"no problem {program.problem_id!r} is given")
            if suite is None:
                self.counts[NO_SUITE] += 1
            elif isinstance(suite, str):
                self.warn(f"not judged: program {program.key!r}: {suite}")
                self._note(file, Verdict(key=program.key, status=Status.NOT_JUDGED, detail=suite))
            elif self._stored.get(program.key, Status.NOT_JUDGED) is Status.NOT_JUDGED:
                name = key_of(program.problem_id, program.code)
                job = Job(key=name, code=program.code, suite=suite)
                found.setdefault(name, (job, []))[1].append(program.key)
        return list(found.values())

    def _programs(self, path: Path) -> Iterator[Program]:
        for where, line in _lines(path):
            try:
                yield msgspec.json.decode(line, type=Program)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self.counts[UNREADABLE] += 1
                self.warn(f"{where}: not a program with key, problem_id and code ({error})")


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"{path}:{number}", line


def _decoded(line: bytes, kind: type[Record]) -> Record | None:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
