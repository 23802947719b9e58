"""Programs of other tools to records: what `funprm import` does.

Of one file two are made: generations, which the policy `replay` serves and `funprm judge` judges,
and, if asked for, the other tool's verdicts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from funprm.commands.problems import checked, given, read_problems
from funprm.disk import atomic_file
from funprm.errors import ConfigError, DataError, RecordError
from funprm.formats.programs import Program
from funprm.formats.reading import programs_in
from funprm.records import Generation, Status, Verdict, key_of
from funprm.row_files import raw_rows
from funprm.store import encode_line


def import_programs(
    source: Path,
    out: Path,
    *,
    verdicts: Path | None = None,
    problems: str = "",
    settings: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Read programs of LiveCodeBench's runner, BigCodeBench or EvalPlus.

    Args:
        source: JSON, JSON lines or Parquet; the format is told by its fields.
        out: generations, as JSON lines; replaced if it exists.
        verdicts: the other tool's verdicts, with the generations' keys; None: not wanted.
        problems: data set's name or file of problems, for files that hold only what follows a
            prompt; empty: none.
        settings: of the data set, by dotted key.

    Returns:
        Number of programs by the other tool's verdict (`no verdict` where it gives none).

    Raises:
        InputError: no such file.
        ConfigError: two of the files are one, or an output is a folder.
        RecordError: a row cannot be read, or the file has no rows.
        DataError: the file needs `problems`; verdicts are wanted and it has none.
        StoreError: a file cannot be written.
    """
    places = [path.resolve() for path in (source, out, verdicts) if path is not None]
    if len(set(places)) < len(places):
        raise ConfigError(f"{source}: input, --out and --verdicts must be different files")
    for path in (out, verdicts):
        if path is not None and path.is_dir():
            raise ConfigError(f"{path} is a folder: expected the name of a file to write")
    starters = _starters(problems, settings or {}) if problems else None
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
        RecordError: there are none, or a row is of another format.
    """
    none = True
    for where, row in raw_rows(source):
        for program in programs_in(row, where):
            none = False
            yield program
    if none:
        raise RecordError(f"{source}: no programs; expected those of another tool")


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


def _starters(problems: str, settings: Mapping[str, Any]) -> dict[str, str]:
    found = checked(read_problems(given(problems, settings)))
    return {problem.problem_id: problem.starter_code for problem in found}


def _starter(program: Program, starters: Mapping[str, str] | None) -> str:
    if starters is None:
        raise DataError(
            f"problem {program.problem_id!r}: the file has only `completion`, what follows the "
            "prompt's code: give the problems by --problems (a data set's name, or a file)"
        )
    if program.problem_id not in starters:
        raise DataError(
            f"a program is for problem {program.problem_id!r}, which is none of the "
            f"{len(starters)} problems given"
        )
    return starters[program.problem_id]
