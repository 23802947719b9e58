"""Programs of other tools to records: what `funprm import` does.

Of one file two are made: generations, which the policy `replay` serves and `funprm judge` judges,
and, if asked for, the other tool's verdicts.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from funprm.errors import DataError, RecordError
from funprm.formats import livecodebench, samples
from funprm.formats.programs import Program
from funprm.records import Generation, Json, Problem, Status, Verdict, key_of
from funprm.store import atomic_file, encode_line, read_records
from funprm.tables import first_row, read_rows

_READERS: dict[str, Callable[[dict[str, Json], str], Iterator[Program]]] = {
    "question_id": livecodebench.programs_of,
    "task_id": samples.programs_of,
}
"""Which reader understands a row, by a field that it has."""


def import_programs(
    source: Path, out: Path, *, verdicts: Path | None = None, problems: Path | None = None
) -> dict[str, int]:
    """Read programs of LiveCodeBench's runner, BigCodeBench or EvalPlus.

    Args:
        source: JSON, JSON lines or Parquet; the format is told by its fields.
        out: generations, as JSON lines; replaced if it exists.
        verdicts: the other tool's verdicts, with the generations' keys; None: not wanted.
        problems: `problems.jsonl`, for files that hold only what follows a prompt.

    Returns:
        Number of programs by the other tool's verdict (`no verdict` where it gives none).

    Raises:
        InputError: no such file.
        RecordError: a row cannot be read, or the file has no rows.
        DataError: the file needs `problems`; verdicts are wanted and it has none.
        StoreError: a file cannot be written.
    """
    starters = _starters(problems)
    counts: Counter[str] = Counter()
    with atomic_file(out) as file, _optional(verdicts) as judged:
        for generation, status in _generations(_programs(source), starters, source.name):
            counts[status.value if status else "no verdict"] += 1
            file.write(encode_line(generation))
            if judged is not None and status is not None:
                judged.write(encode_line(Verdict(key=generation.key, status=status)))
        if verdicts is not None and counts["no verdict"]:
            raise DataError(
                f"{source}: {counts['no verdict']} programs without a verdict: leave out "
                "--verdicts, and judge them by `funprm judge`"
            )
    return {name: count for name, count in counts.items() if count}


def _optional(path: Path | None) -> AbstractContextManager[IO[bytes] | None]:
    return nullcontext() if path is None else atomic_file(path)


def _programs(source: Path) -> Iterator[Program]:
    """All programs of a file.

    Raises:
        RecordError: it is empty, or of another format.
    """
    first = first_row(source)
    if first is None:
        raise RecordError(f"{source}: no rows; expected programs of another tool")
    reader = next((read for name, read in _READERS.items() if name in first[1]), None)
    if reader is None:
        raise RecordError(
            f"{first[0]}: neither question_id (LiveCodeBench) nor task_id (BigCodeBench, EvalPlus) "
            f"among the fields {', '.join(first[1])[:200]}"
        )
    for where, row in read_rows(source, dict[str, Any]):
        yield from reader(row, where)


def _generations(
    programs: Iterable[Program], starters: Mapping[str, str] | None, policy: str
) -> Iterator[tuple[Generation, Status | None]]:
    count: Counter[str] = Counter()
    for program in programs:
        index = count[program.problem_id]
        count[program.problem_id] += 1
        code = program.code
        if program.needs_prompt:
            code = _starter(program, starters) + code
        generation = Generation(
            key=key_of("imported", 1, program.problem_id, index, code),
            problem_id=program.problem_id,
            index=index,
            code=code,
            text=program.text,
            policy=policy,
            finish="stop" if code.strip() else "empty",
        )
        yield generation, program.status


def _starters(problems: Path | None) -> dict[str, str] | None:
    if problems is None:
        return None
    if not problems.is_file():
        raise DataError(f"no file {problems}; expected problems.jsonl, as `funprm load` writes it")
    return {p.problem_id: p.starter_code for p in read_records(problems, Problem)}


def _starter(program: Program, starters: Mapping[str, str] | None) -> str:
    if starters is None:
        raise DataError(
            f"problem {program.problem_id!r}: the file has only `completion`, what follows the "
            "prompt's code: give the problems by --problems problems.jsonl"
        )
    if program.problem_id not in starters:
        raise DataError(
            f"a program is for problem {program.problem_id!r}, which is none of the "
            f"{len(starters)} problems given"
        )
    return starters[program.problem_id]
