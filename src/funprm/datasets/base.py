"""What all data sets have in common that are read from files.

A data set says where its files are, what a row holds, and how it becomes statement and tests;
selection, splits, keys and errors are here.
"""

import datetime
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import msgspec

from funprm.datasets._files import Source
from funprm.datasets._split import Fractions, assign, check_split, require_some
from funprm.disk import digest_of
from funprm.errors import ConfigError, nearest
from funprm.records import Difficulty, Json, Problem, Split, Suite
from funprm.row_files import read_rows

Row = TypeVar("Row")

DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemHeader:
    """What is known of a problem before its tests are looked at."""

    problem_id: str
    platform: str = ""
    difficulty: Difficulty = ""
    day: str = ""
    """As in 2025-02-01; empty: unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemBody:
    """The rest of a problem; fields as in `records.Problem`."""

    statement: str
    hidden: Suite
    public: Suite | None = None
    probe: Suite | None = None
    starter_code: str = ""
    reference: str | None = None


@dataclass(frozen=True, kw_only=True)
class FileDataset(ABC, Generic[Row]):
    """Problems from files of one row each; implements `interfaces.Dataset`."""

    row: ClassVar[type]
    """What a row is decoded to."""
    title: ClassVar[str]
    """The benchmark's name, for error messages."""
    reader: ClassVar[int] = 1
    """Version of the reading code: raised when the same files give other problems."""
    transport: ClassVar[frozenset[str]] = frozenset({"path"})
    """The files' contents count, not where they lie."""

    path: str = ""
    """A file, or a folder that holds the files; empty: from the hub."""
    split: Split | Fractions = "test"
    """One split for all problems, or fractions of them by problem."""
    exclude: tuple[str, ...] = ()
    """Ids of problems to leave out (wrong tests, several right answers)."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: one has a value out of its range.
        """
        check_split(self.split)

    def identity(self) -> Mapping[str, Json]:
        """What determines the problems: the settings, and the contents of the files.

        Raises:
            InputError: no such file, here or on the hub.
        """
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "path"}
        contents = [digest_of(file) for file in self._files()]
        return {
            "data set": type(self).__name__,
            "reader": self.reader,
            "settings": msgspec.to_builtins(settings),
            "files": contents,
        }

    def load(self) -> Iterator[Problem]:
        """The selected problems, in the files' order, one row in memory at a time.

        Large hidden suites are packed.

        Raises:
            InputError: no such file, here or on the hub.
            RecordError: a row that cannot be read.
            DataError: a problem that cannot be used (no tests, ...); no problem is selected.
            ConfigError: `exclude` names a problem that there is not; told after the last row.
        """
        count = 0
        ids: set[str] = set()
        for file in self._files():
            for where, row in self._rows(file):
                header = self._header(row)
                ids.add(header.problem_id)
                split = self._split(row, header)
                if split is not None and header.problem_id not in self.exclude:
                    body = self._body(row, f"{where}: problem {header.problem_id!r}")
                    problem = problem_of(header, split, body)
                    yield replace(problem, hidden=problem.hidden.compact())
                    count += 1
        require_some(count, f"of {self.title}{self._selection()}")
        check_values("exclude", self.exclude, ids)

    def _files(self) -> list[Path]:
        return self._source().files(self.path)

    def _rows(self, file: Path) -> Iterator[tuple[str, Row]]:
        """The rows of a file with their places."""
        return read_rows(file, self.row)

    def _selection(self) -> str:
        """The selecting settings, for the message that nothing is left; begins with a blank."""
        return f" in {self.path!r}" if self.path else ""

    def _split(self, row: Row, header: ProblemHeader) -> Split | None:
        """The split of a problem; None: it is not wanted."""
        return assign(header.problem_id, self.split)

    @abstractmethod
    def _source(self) -> Source:
        """Where the files are."""

    @abstractmethod
    def _header(self, row: Row) -> ProblemHeader:
        """What can be told without decoding tests."""

    @abstractmethod
    def _body(self, row: Row, where: str) -> ProblemBody:
        """Statement and tests.

        Raises:
            DataError: the problem cannot be used; the message begins with `where`.
        """


@dataclass(frozen=True, kw_only=True)
class DatedDataset(FileDataset[Row]):
    """Problems with dates, selected and split by them. Days are as in 2025-02-01."""

    start_date: str = ""
    """First day; empty: no limit."""
    end_date: str = ""
    """Last day; empty: no limit."""
    difficulties: tuple[str, ...] = ()
    """Of easy, medium, hard; empty: all."""
    train_before: str = ""
    """Later problems are not split: they are test problems, or left out before `test_from`."""
    test_from: str = ""
    """From this day on, problems are test problems."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: a day is none, or a difficulty is unknown.
        """
        super().__post_init__()
        for name in ("start_date", "end_date", "train_before", "test_from"):
            _check_day(name, getattr(self, name))
        check_values("difficulties", self.difficulties, DIFFICULTIES)

    def _selection(self) -> str:
        chosen = super()._selection()
        if self.start_date or self.end_date:
            chosen += f" in the window {self.start_date or 'start'} to {self.end_date or 'end'}"
        return chosen + (f" that are {'/'.join(self.difficulties)}" if self.difficulties else "")

    def _split(self, row: Row, header: ProblemHeader) -> Split | None:
        day = header.day
        if (self.start_date and day < self.start_date) or (self.end_date and day > self.end_date):
            return None
        if self.difficulties and header.difficulty not in self.difficulties:
            return None
        if self.test_from and day >= self.test_from:
            return "test"
        if self.train_before and day >= self.train_before:
            return None if self.test_from else "test"
        return assign(header.problem_id, self.split)


def check_values(name: str, values: tuple[str, ...], known: Collection[str]) -> None:
    """Check a setting that lists names.

    Raises:
        ConfigError: one is unknown; the message names the nearest.
    """
    for value in values:
        if value not in known:
            raise ConfigError(f"{name}: unknown value {value!r}: {nearest(value, known)}")


def _check_day(name: str, day: str) -> None:
    try:
        if day and datetime.date.fromisoformat(day).isoformat() == day:
            return
    except ValueError:
        pass
    if day:
        raise ConfigError(f"{name} = {day!r} is no day: expected one such as '2025-02-01'")


def problem_of(header: ProblemHeader, split: Split, body: ProblemBody) -> Problem:
    """The problem that its parts make, with its key."""
    return with_key(
        Problem(
            key="",
            problem_id=header.problem_id,
            statement=body.statement,
            hidden=body.hidden,
            public=body.public,
            probe=body.probe,
            starter_code=body.starter_code,
            difficulty=header.difficulty,
            split=split,
            reference=body.reference,
            date=header.day,
            platform=header.platform,
        )
    )


def with_key(problem: Problem) -> Problem:
    """The problem with its key: a hash of its texts and tests, limits apart."""
    return problem.with_key()
