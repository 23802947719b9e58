"""A policy that answers with recorded programs instead of a model."""

import functools
import gzip
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from funprm.errors import ConfigError, PolicyError, RecordError
from funprm.interfaces import Request, Sample
from funprm.records import Generation, Json, key_of, shared_fields

_PROBLEM_FIELDS = ("problem_id", "task_id", "question_id")
_CODE_FIELDS = ("code", "solution")
_COMPLETION = "completion"
"""Field of what follows the problem's code, in rows without a complete program."""
_GENERATION = {"key", "problem_id", "index", "code"}
"""The required fields of `records.Generation`."""

_Served = dict[str, tuple[int, str]]
"""Line and digest of the program that a request was answered with, by the request's key."""


@dataclass(kw_only=True, eq=False)
class ReplayPolicy:
    """Serves the programs of a JSON-lines file; implements `interfaces.Policy`.

    A request is answered with the program of its problem that has its index: by `index_field`
    where the row has it, else by the order in the file, from 0, among the rows that `where`
    selects. Requests for which there is no program are not answered; two different programs for
    one are refused. The file is read once per
    call, row by row, so a file of any size can be replayed.

    Raises:
        ConfigError: there is no such file, or a setting is out of range.
    """

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = True
    transport: ClassVar[frozenset[str]] = frozenset({"path", "batch"})
    """The file's contents count, not where it lies."""

    path: str
    """JSON lines, one program a line; `.gz` files are decompressed."""
    problem_field: str = ""
    """Field of the problem's id; empty: `problem_id`, `task_id` or `question_id`."""
    code_field: str = ""
    """Field of the program; empty: `code` or `solution`; where a row has neither, its `completion`
    is put after the problem's code."""
    index_field: str = "index"
    """Field of the sample's number, in files that have one."""
    nested_field: str = ""
    """Field that lists a problem's programs, in files with one line per problem."""
    where: Mapping[str, Json] = field(default_factory=dict)
    """Values that fields of a row (or of a nested program) must have, such as a model's name; a
    list gives several that will do."""
    batch: int = 65536
    """Requests answered in one pass over the file."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ConfigError(f"batch = {self.batch} is out of range: expected at least 1")
        if not Path(self.path).expanduser().is_file():
            raise ConfigError(f"no file {self.path!r} to replay: expected JSON lines")

    def identity(self) -> Mapping[str, Json]:
        """Hash of the file's contents, and which of its programs are served."""
        return {
            "policy": "replay",
            "file": self._fingerprint,
            "fields": [
                self.problem_field,
                self.code_field,
                self.index_field,
                self.nested_field,
            ],
            "where": dict(self.where),
        }

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        """Recorded answers, in the order of the file.

        Raises:
            PolicyError: a program is to be continued, or the file has no program for any of the
                problems.
            RecordError: a line cannot be read or lacks a field, or two lines hold different
                programs for one request.
        """
        wanted = _by_problem(requests)
        known: set[str] = set()
        served: _Served = {}
        example = ""
        for program in self._programs():
            example = program.problem_id
            if program.problem_id in wanted:
                known.add(program.problem_id)
                for request in wanted[program.problem_id].get(program.index, ()):
                    if self._is_served(request, program, served):
                        continue
                    sample = program.sample
                    given = request.problem.starter_code if program.follows else ""
                    yield replace(sample, key=request.key, code=given + sample.code)
        if wanted and not known:
            raise PolicyError(self._nothing(next(iter(wanted)), example))

    def _is_served(self, request: Request, program: "_Program", served: _Served) -> bool:
        """Whether a request has its program already: this one, on another line.

        Raises:
            RecordError: it has a different one.
        """
        code = key_of(program.sample.code, program.follows)
        if request.key not in served:
            served[request.key] = program.line, code
            return False
        line, first = served[request.key]
        if code != first:
            raise RecordError(
                f"{self.path}, lines {line} and {program.line}: two different programs of problem "
                f"{program.problem_id!r} have the number {program.index}: select one model's rows "
                "by `where`, or name the field of their numbers by `index_field` (empty: they are "
                "numbered by their order)"
            )
        return True

    def _nothing(self, problem_id: str, example: str) -> str:
        where = f" where {dict(self.where)}" if self.where else ""
        found = f"those are for {example!r} and others" if example else "there is none at all"
        return (
            f"{self.path}: no program{where} for any wanted problem, such as {problem_id!r}; "
            f"{found}; check path, problem_field and where"
        )

    def _programs(self) -> "Iterator[_Program]":
        """The file's programs that `where` selects."""
        count: dict[str, int] = defaultdict(int)
        for number, row in self._rows():
            place = f"{self.path}, line {number}"
            problem_id = str(_first(row, self.problem_field, _PROBLEM_FIELDS, place))
            for entry in self._entries(row, place):
                if not self._selects(entry, row):
                    continue
                index = entry.get(self.index_field, count[problem_id])
                if not isinstance(index, int) or isinstance(index, bool):
                    raise RecordError(
                        f"{place}: {self.index_field!r} is {index!r}, expected a whole number"
                    )
                count[problem_id] += 1
                follows = not self.code_field and not any(n in entry for n in _CODE_FIELDS)
                sample = self._recorded(entry, place)
                yield _Program(
                    line=number, problem_id=problem_id, index=index, sample=sample, follows=follows
                )

    def _recorded(self, entry: dict[str, Json], place: str) -> Sample:
        """The sample of a row, with all that was measured if it is a `Generation`."""
        if entry.keys() >= _GENERATION:
            return _from_generation(entry, place)
        code = _first(entry, self.code_field, (*_CODE_FIELDS, _COMPLETION), place)
        if not isinstance(code, str):
            raise RecordError(f"{place}: the program is a {type(code).__name__}, expected text")
        return Sample(key="", code=code, finish="stop" if code.strip() else "empty")

    def _entries(self, row: dict[str, Json], place: str) -> list[dict[str, Json]]:
        if not self.nested_field:
            return [row]
        entries = row.get(self.nested_field)
        if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
            return entries
        raise RecordError(f"{place}: field {self.nested_field!r} is no list of objects")

    def _selects(self, entry: dict[str, Json], row: dict[str, Json]) -> bool:
        return all(
            (entry[name] if name in entry else row.get(name)) in _choices(value)
            for name, value in self.where.items()
        )

    def _rows(self) -> Iterator[tuple[int, dict[str, Json]]]:
        """Line numbers, from 1, and rows."""
        for number, line in _lines(self.path):
            try:
                if line.strip():
                    yield number, msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise RecordError(
                    f"{self.path}, line {number}: no JSON object ({error}); mend or remove it"
                ) from error

    @functools.cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for _, line in _lines(self.path):
            digest.update(line)
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Program:
    line: int
    problem_id: str
    index: int
    sample: Sample
    """The answer, without a key."""
    follows: bool
    """Whether it is only what follows the problem's code."""


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Line numbers, from 1, and lines.

    Raises:
        RecordError: the file cannot be read to its end.
    """
    number, place = 0, Path(path).expanduser()
    try:
        with gzip.open(place) if place.suffix == ".gz" else place.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(
            f"{path} cannot be read after line {number} ({error}); copy it again"
        ) from error


def _by_problem(requests: Sequence[Request]) -> dict[str, dict[int, list[Request]]]:
    """Requests by problem and index.

    Raises:
        PolicyError: a program is to be continued.
    """
    found: dict[str, dict[int, list[Request]]] = defaultdict(lambda: defaultdict(list))
    for request in requests:
        if request.prefix:
            raise PolicyError(
                "recorded programs cannot be continued: replay writes complete programs only; "
                "take another policy for rollouts"
            )
        found[request.problem.problem_id][request.index].append(request)
    return found


def _first(row: dict[str, Json], name: str, defaults: Sequence[str], place: str) -> Json:
    """The value of the named field, or of the first default that the row has."""
    names = (name,) if name else defaults
    for candidate in names:
        if candidate in row:
            return row[candidate]
    raise RecordError(
        f"{place}: no field {' or '.join(map(repr, names))}; the line has {', '.join(row)[:200]}"
    )


def _choices(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list | tuple) else [value]


def _from_generation(entry: dict[str, Json], place: str) -> Sample:
    try:
        record = msgspec.convert(entry, Generation)
    except msgspec.ValidationError as error:
        raise RecordError(f"{place}: no generation record ({error})") from error
    return Sample(**{**shared_fields(record, Sample), "key": ""})
