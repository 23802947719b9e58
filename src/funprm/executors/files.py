"""Judging programs from files: what `funprm judge PROBLEMS PROGRAMS --out VERDICTS` does."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from funprm.errors import DataError
from funprm.interfaces import Executor, Job
from funprm.records import Problem, Status, Suite, Verdict, key_of
from funprm.store import RecordFile, read_records

SuiteName = Literal["hidden", "public", "probe"]
NO_SUITE = "no suite"


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What is read of a line of PROGRAMS (a generation, a rollout, or just this)."""

    key: str
    problem_id: str
    code: str


def judge_files(
    problems: Path, programs: Path, out: Path, executor: Executor, suite: SuiteName = "hidden"
) -> dict[str, int]:
    """Judge every program by the tests of its problem; one verdict a line, with its program's key.

    Verdicts that `out` already holds are kept, so the same command goes on after a crash, and
    judges again what was not judged. Equal programs of a problem are judged once.

    Args:
        problems: `problems.jsonl`, as the stage `load` writes it.
        programs: JSON lines with `key`, `problem_id` and `code`; other fields are ignored.
        out: `verdicts.jsonl`; made if absent.
        executor: the judge; it is not closed.
        suite: which tests of the problem.

    Returns:
        Number of programs by status, of those judged by this call; `no suite` counts those whose
        problem has no such tests.

    Raises:
        RecordError: a line of a file cannot be read.
        DataError: a file is missing, or a program names a problem that is not in `problems`.
        StoreError: `out` cannot be written.
    """
    for path in (problems, programs):
        if not path.is_file():
            raise DataError(f"no file {path}; expected JSON lines")
    suites = {p.problem_id: getattr(p, suite) for p in read_records(problems, Problem)}
    counts: Counter[str] = Counter()
    with RecordFile(out, Verdict) as file:
        known = {v.key for v in file if v.status is not Status.NOT_JUDGED}
        twins: dict[str, list[str]] = {}
        jobs = _jobs(programs, suites, known, twins, counts)
        for verdict in executor.judge(jobs):
            for key in twins.pop(verdict.key):
                file.append(replace(verdict, key=key))
                counts[verdict.status.value] += 1
    return dict(counts)


def _jobs(
    programs: Path,
    suites: Mapping[str, Suite | None],
    known: set[str],
    twins: dict[str, list[str]],
    counts: Counter[str],
) -> Iterator[Job]:
    """Distinct programs still to be judged; `twins` gets the keys that share each verdict."""
    wanted: dict[str, tuple[str, Suite]] = {}
    for program in read_records(programs, Program):
        if program.problem_id not in suites:
            raise DataError(
                f"{programs}: program {program.key!r} is for problem {program.problem_id!r},"
                f" which is none of the {len(suites)} problems given"
            )
        suite = suites[program.problem_id]
        if suite is None:
            counts[NO_SUITE] += 1
        elif program.key not in known:
            job = key_of(program.problem_id, program.code)
            wanted[job] = program.code, suite
            twins.setdefault(job, []).append(program.key)
    for job, (code, suite) in wanted.items():
        yield Job(key=job, code=code, suite=suite)
