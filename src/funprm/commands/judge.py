"""Judging programs from files: what `funprm judge PROBLEMS PROGRAMS --out VERDICTS` does."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from funprm import registry
from funprm.commands import verdict_file
from funprm.commands.judged import NO_TESTS, REFUSED, UNKNOWN, UNUSABLE, Judged, Reason
from funprm.commands.problems import Given, Unusable, read_problems
from funprm.errors import DataError, RecordError
from funprm.executors.grading.suites import shared_a_process
from funprm.formats.programs import Program
from funprm.formats.reading import programs_in
from funprm.interfaces import Executor, Job, Progress
from funprm.records import Problem, ProgramVerdict, Status, Suite, Verdict, key_of
from funprm.row_files import raw_rows
from funprm.store import RecordFile

SuiteName = Literal["hidden", "public"]
_NAMED = 5
"""Lines on standard error about each kind of fault; the rest is counted."""


def judge(
    problems: Given,
    programs: Path,
    out: Path,
    *,
    suite: SuiteName = "hidden",
    warn: Callable[[str], object] = lambda line: None,
    progress: Progress,
) -> Judged:
    """Judge a file of programs by the tests of their problems.

    Args:
        problems: the data set or the file of problems, and the executor; see `problems.given`.
        programs: a table (JSON lines, ...) of programs; docs/judging.md says with which fields.
        out: verdicts, one line per program (`records.ProgramVerdict`). Lines of an earlier call
            that still hold are kept; the others are moved to a file beside it.
        suite: which tests.
        warn: told in one line of what cannot be used.
        progress: shows how far it is.

    Raises:
        InputError: a file or a setting cannot be used, two programs have the same key, or no
            program can be judged at all.
        StoreError: `out` cannot be written, or another process does.
        ExecutorError: the judge cannot work.
    """
    with executor_of(problems, warn) as executor:
        file_judge = FileJudge(executor=executor, suite=suite, warn=warn, progress=progress)
        return file_judge.judge(read_problems(problems), programs, out)


@contextmanager
def executor_of(problems: Given, warn: Callable[[str], object]) -> Iterator[Executor]:
    """The executor that goes with problems; `warn` is told which isolation is in force."""
    part = problems.executor
    with closing(registry.build("executors", part.name, part.options)) as executor:
        if hasattr(executor, "describe"):
            warn(executor.describe())
        yield executor


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tests:
    """What is kept of a problem."""

    suite: Suite | None = None
    digest: str = ""
    starter_code: str = ""
    fault: str = ""
    """Why its programs cannot be judged, or empty."""


@dataclass(kw_only=True)
class FileJudge:
    """Judges every program by the tests of its problem; one verdict a line, with its key.

    Equal programs by equal tests are judged once. A record that cannot be used costs its own
    verdicts, never those of others.

    Attributes:
        executor: the judge; it is not closed.
        suite: which tests of the problems.
        warn: told of records that cannot be used, in one line that names them.
        progress: shows how far it is.
    """

    executor: Executor
    progress: Progress
    suite: SuiteName = "hidden"
    warn: Callable[[str], object] = lambda line: None
    _tests: dict[str, _Tests] = field(default_factory=dict, init=False)
    _programs: dict[str, Program] = field(default_factory=dict, init=False)
    _said: Counter[str] = field(default_factory=Counter, init=False)

    def judge(self, problems: Iterable[Problem | Unusable], programs: Path, out: Path) -> Judged:
        """Judge a file of programs; arguments and errors as in the function `judge`."""
        verdict_file.read(out)  # what is refused is refused before the work
        next(raw_rows(programs), None)
        judged = Judged(suite=self.suite)
        self._read_problems(problems, judged)
        self._read_programs(programs, judged)
        with verdict_file.held(out):
            self._judge(out, judged)
        self._say_rest()
        return judged

    def _judge(self, out: Path, judged: Judged) -> None:
        rules = key_of("program verdict", 1, dict(self.executor.identity()))
        refused = {key: why for key, p in self._programs.items() if (why := self._refusal(p))}
        wanted = {
            key: key_of(rules, program.problem_id, self._job_key(program))
            for key, program in self._programs.items()
            if key not in refused
        }
        if not wanted:
            raise DataError(self._nothing(judged, refused))
        kept = verdict_file.keep(out, self.suite, wanted)
        self._say_moved(kept.moved, out)
        judged.reused, judged.shared = len(kept.statuses), kept.shared
        judged.statuses.update(status.value for status in kept.statuses.values())
        self.progress.start("judge", len(self._programs), judged.reused + len(refused))
        missing = {key: digest for key, digest in wanted.items() if key not in kept.statuses}
        with RecordFile(out, ProgramVerdict) as file:
            for key, (reason, detail) in refused.items():
                self._note(file, judged, self._not_run(key, detail), reason)
            for key, verdict in self._verdicts(missing):
                self._note(file, judged, self._line(key, missing[key], verdict), REFUSED)
                self.progress.advance()
        self.progress.finish(f"{judged.judged} verdicts, {judged.reused} of them kept")

    def _job_key(self, program: Program) -> str:
        return key_of(self._tests[program.problem_id].digest, program.code)

    def _verdicts(self, missing: Iterable[str]) -> Iterator[tuple[str, Verdict]]:
        """Keys of programs with their verdicts; equal programs by equal tests share one."""
        twins: dict[str, list[str]] = {}
        for key in missing:
            twins.setdefault(self._job_key(self._programs[key]), []).append(key)
        for verdict in self.executor.judge(self._jobs(twins)):
            for key in twins[verdict.key]:
                yield key, verdict

    def _jobs(self, twins: Mapping[str, list[str]]) -> Iterator[Job]:
        for job, keys in twins.items():
            program = self._programs[keys[0]]
            suite = self._tests[program.problem_id].suite
            assert suite is not None
            yield Job(key=job, code=program.code, suite=suite)

    def _note(
        self, file: RecordFile[ProgramVerdict], judged: Judged, line: ProgramVerdict, reason: Reason
    ) -> None:
        file.append(line)
        judged.statuses[line.status.value] += 1
        judged.shared += shared_a_process(line)
        if line.status is Status.NOT_JUDGED:
            judged.reasons[reason] += 1
            self._say(reason, f"not judged: program {line.key!r}: {line.detail}")

    def _line(self, key: str, digest: str, verdict: Verdict) -> ProgramVerdict:
        return ProgramVerdict(
            key=key,
            problem_id=self._programs[key].problem_id,
            suite=self.suite,
            digest=digest,
            status=verdict.status,
            total=verdict.total,
            detail=verdict.detail,
            results=verdict.results,
        )

    def _not_run(self, key: str, detail: str) -> ProgramVerdict:
        verdict = Verdict(key=key, status=Status.NOT_JUDGED, detail=detail)
        return self._line(key, "", verdict)

    def _refusal(self, program: Program) -> tuple[Reason, str] | None:
        """Why a program cannot be judged, as a reason and in words; None: it can."""
        tests = self._tests.get(program.problem_id)
        if tests is None:
            return UNKNOWN, f"no problem {program.problem_id!r} is given"
        if tests.fault:
            return UNUSABLE, tests.fault
        if tests.suite is None:
            return NO_TESTS, f"problem {program.problem_id!r} has no {self.suite} tests"
        return None

    def _read_problems(self, problems: Iterable[Problem | Unusable], judged: Judged) -> None:
        self.progress.start("load", 0)
        for problem in problems:
            judged.problems += (
                isinstance(problem, Unusable) or problem.problem_id not in self._tests
            )
            if isinstance(problem, Unusable):
                judged.unusable_problems += 1
                self._say("problem", f"{problem.fault}; its programs are not judged")
                self._add(problem.problem_id, _Tests(fault=problem.fault))
            else:
                self._add(problem.problem_id, self._tests_of(problem))
            self.progress.advance()
        judged.with_tests = sum(t.suite is not None for t in self._tests.values())
        self._tests.pop("", None)
        if judged.problems == judged.unusable_problems:
            self._say_rest()
            raise DataError(f"none of {judged.problems} problems can be used")
        self.progress.finish(f"{judged.problems} problems")

    def _tests_of(self, problem: Problem) -> _Tests:
        suite: Suite | None = getattr(problem, self.suite)
        if suite is None or not suite.has_tests:
            return _Tests()
        suite = suite.compact()
        code = problem.starter_code
        return _Tests(suite=suite, digest=key_of(asdict(suite)), starter_code=code)

    def _add(self, problem_id: str, tests: _Tests) -> None:
        known = self._tests.setdefault(problem_id, tests)
        if known != tests and not known.fault:
            fault = f"two problems have the id {problem_id!r} and differ: give one of them"
            self._say("problem", fault)
            self._tests[problem_id] = _Tests(fault=fault)

    def _read_programs(self, path: Path, judged: Judged) -> None:
        numbers: Counter[str] = Counter()
        for where, row in raw_rows(path):
            try:
                found = programs_in(row, where)
            except RecordError as error:
                judged.unreadable += 1
                self._say("unreadable", str(error))
                continue
            for program in found:
                number = numbers[program.problem_id]
                numbers[program.problem_id] += 1
                key = program.key or f"{program.problem_id}#{number}"
                self._take(key, program, where, judged)
        if not self._programs:
            self._say_rest()
            raise DataError(
                f"{path}: no programs ({judged.unreadable} rows that cannot be read): expected "
                "JSON lines with problem_id and code"
            )
        judged.programs = len(self._programs)
        judged.without_programs = tuple(name for name in self._tests if name not in numbers)
        judged.unknown = {n: count for n, count in numbers.items() if n not in self._tests}

    def _take(self, key: str, program: Program, where: str, judged: Judged) -> None:
        code = program.code
        if program.needs_prompt:
            judged.completions += 1
            tests = self._tests.get(program.problem_id)
            code = (tests.starter_code if tests else "") + code
        taken = Program(key=key, problem_id=program.problem_id, code=code)
        judged.repeated += key in self._programs
        if self._programs.setdefault(key, taken) != taken:
            raise DataError(
                f"{where}: the key {key!r} is that of another program, too: keys must be unique; "
                "without the field `key` programs are numbered"
            )

    def _nothing(self, judged: Judged, refused: Mapping[str, tuple[Reason, str]]) -> str:
        self._say_rest()
        kinds = Counter(reason for reason, _ in refused.values())
        counted = "; ".join(f"{count} {reason}" for reason, count in kinds.items())
        example = next(iter(refused.values()))[1]
        known = f"; the first of {len(self._tests)} problems is {next(iter(self._tests))!r}"
        return (
            f"none of {judged.programs} programs can be judged: {counted} ({example}"
            f"{known if self._tests else ''})"
        )

    def _say(self, kind: str, line: str) -> None:
        self._said[kind] += 1
        if self._said[kind] <= _NAMED:
            self.warn(line)

    def _say_rest(self) -> None:
        for kind, count in self._said.items():
            if count > _NAMED:
                self.warn(f"... and {count - _NAMED} more like this: {kind}")

    def _say_moved(self, moved: Mapping[str, int], out: Path) -> None:
        if moved:
            counted = ", ".join(f"{count} {reason}" for reason, count in moved.items())
            self.warn(
                f"{sum(moved.values())} verdicts in {out} do not hold for this call ({counted}): "
                f"moved to {verdict_file.earlier(out)}"
            )
