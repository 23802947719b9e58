"""Problems of your own, one JSON object per line; `docs/data.md` describes the fields."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import msgspec

from funprm.datasets._docstring_examples import decode_arguments
from funprm.datasets._files import Source
from funprm.datasets.base import DatedDataset, ProblemBody, ProblemHeader, problem_of
from funprm.errors import ConfigError, DataError, RecordError, nearest
from funprm.records import Case, Difficulty, Json, Problem, Split, Suite, SuiteKind
from funprm.row_files import read_rows


class _Test(msgspec.Struct, forbid_unknown_fields=True):
    input: Json
    output: Json
    public: bool = False


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    statement: str
    problem_id: str = ""
    id: str = ""
    """The same, as this package's files called it first."""
    tests: list[_Test] = []
    check: str = ""
    unittest: str = ""
    entry_point: str = ""
    starter_code: str = ""
    prelude: str = ""
    probes: list[Json] = []
    reference: str | None = None
    split: Split | None = None
    difficulty: Difficulty = ""
    date: str = ""
    platform: str = ""
    seconds: float = 6.0
    memory_mb: int = 1024


_FIELDS = {*_Row.__struct_fields__, *_Test.__struct_fields__}
_DECODER = msgspec.json.Decoder(_Row)


@dataclass(frozen=True, kw_only=True)
class JsonlDataset(DatedDataset[_Row]):
    """Problems from files of JSON lines in this package's own format.

    A split that a problem names itself goes before the settings.
    """

    row: ClassVar[type] = _Row
    reader: ClassVar[int] = 2
    title: ClassVar[str] = "one's own"

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: no path; a day is none, or a difficulty is unknown.
        """
        super().__post_init__()
        if not self.path:
            raise ConfigError("data set 'jsonl' needs the setting 'path', a file or a folder")

    def _source(self) -> Source:
        return Source(
            local=(("*.jsonl*",),), elsewhere="expected problems as JSON lines, one object per line"
        )

    def _rows(self, file: Path) -> Iterator[tuple[str, _Row]]:
        for where, raw in read_rows(file, msgspec.Raw):
            yield where, _row(raw, where)

    def _header(self, row: _Row) -> ProblemHeader:
        return _header(row)

    def _split(self, row: _Row, header: ProblemHeader) -> Split | None:
        split = super()._split(row, header)
        return split and (row.split or split)

    def _body(self, row: _Row, where: str) -> ProblemBody:
        return _body(row, where)


def read_problem(text: bytes, where: str) -> Problem:
    """The problem that the text of one JSON object describes; a test problem by default.

    Args:
        text: a line of a file in this package's own format.
        where: what it is, for error messages, which are as in `JsonlDataset.load`.
    """
    row = _row(msgspec.Raw(text), where)
    body = _body(row, f"{where}: problem {row.problem_id!r}")
    return problem_of(_header(row), row.split or "test", body)


def _header(row: _Row) -> ProblemHeader:
    return ProblemHeader(
        problem_id=row.problem_id, platform=row.platform, difficulty=row.difficulty, day=row.date
    )


def _body(row: _Row, where: str) -> ProblemBody:
    kind = _kind(row, where)
    has_code = kind in ("check", "unittest")
    cases = [_case(row, test, where) for test in row.tests]
    public = [c for c, t in zip(cases, row.tests, strict=True) if t.public or has_code]
    probes = [Case(input=_input(row, value, where)) for value in row.probes]
    _refuse_hidden(row, [] if has_code else cases, probes, where)
    hidden = _suite(row, kind, [] if has_code else cases)
    asked: SuiteKind = "functional" if row.entry_point else "stdin"
    return ProblemBody(
        statement=row.statement,
        starter_code=row.starter_code,
        hidden=replace(hidden, code=row.check or row.unittest),
        public=_suite(row, asked, public) if public else None,
        probe=_suite(row, asked, probes) if probes else None,
        reference=row.reference,
    )


def _refuse_hidden(row: _Row, cases: list[Case], probes: list[Case], where: str) -> None:
    """Refuses probes that only hidden tests hold: selectors see what programs answer to them."""

    def same(case: Case) -> str:
        try:
            return repr(decode_arguments(case.input)) if row.entry_point else case.input.strip()
        except ValueError:  # no JSON: the judge will say so
            return case.input

    if not probes:
        return
    public = {same(c) for c, t in zip(cases, row.tests, strict=False) if t.public}
    hidden = {same(case) for case in cases} - public
    if found := [probe for probe in probes if same(probe) in hidden]:
        raise DataError(
            f"{where}: the probe {found[0].input!r} is the input of a hidden test, which selectors "
            "must not see: give another input, or make the test public"
        )


def _row(raw: msgspec.Raw, where: str) -> _Row:
    try:
        row = _DECODER.decode(raw)
    except msgspec.ValidationError as error:
        unknown = re.search(r"unknown field `(.*?)`", str(error))
        hint = f": {nearest(unknown[1], _FIELDS - {unknown[1]})}" if unknown else ""
        raise RecordError(f"{where}: {error}{hint}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{where}: text that is not UTF-8 ({error})") from error
    if not (row.problem_id or row.id):
        raise RecordError(f"{where}: a problem without `problem_id`: expected a text of its own")
    if row.problem_id and row.id and row.problem_id != row.id:
        raise RecordError(
            f"{where}: `problem_id` {row.problem_id!r} and `id` {row.id!r} mean the same and "
            "differ: leave out `id`"
        )
    return msgspec.structs.replace(row, problem_id=row.problem_id or row.id)


def _kind(row: _Row, where: str) -> SuiteKind:
    """The kind of the hidden tests."""
    if row.check and row.unittest:
        raise DataError(f"{where}: has both `check` and `unittest`: expected one of them")
    if row.check and not row.entry_point:
        raise DataError(f"{where}: `check` needs `entry_point`, the function that it is given")
    if not (row.check or row.unittest or row.tests):
        raise DataError(f"{where}: has no tests: give `tests`, `check` or `unittest`")
    if row.check or row.unittest:
        return "check" if row.check else "unittest"
    return "functional" if row.entry_point else "stdin"


def _suite(row: _Row, kind: SuiteKind, cases: list[Case]) -> Suite:
    return Suite(
        kind=kind,
        cases=tuple(cases),
        entry_point=row.entry_point,
        prelude=row.prelude,
        seconds=row.seconds,
        memory_mb=row.memory_mb,
    )


def _case(row: _Row, test: _Test, where: str) -> Case:
    if row.entry_point:
        return Case(input=_input(row, test.input, where), output=_encoded(test.output))
    if not isinstance(test.output, str):
        raise DataError(
            f"{where}: the output {test.output!r} of a test is no text; without `entry_point` "
            "programs read and print text"
        )
    return Case(input=_input(row, test.input, where), output=test.output)


def _input(row: _Row, value: Json, where: str) -> str:
    if row.entry_point and isinstance(value, list):
        return "\n".join(_encoded(argument) for argument in value)
    if isinstance(value, str):
        return value
    expected = "a list of arguments" if row.entry_point else "a text (or set `entry_point`)"
    raise DataError(f"{where}: the input {value!r} of a test: expected {expected}")


def _encoded(value: Json) -> str:
    return msgspec.json.encode(value).decode()
