"""LiveCodeBench (arXiv 2403.07974): problems of programming contests, dated.

Read are the files of `livecodebench/code_generation_lite` (`test.jsonl` ... `test6.jsonl`), and
files with the fields `fn_name` and `tests` (`input`, `output`, `public`) instead.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from funprm.datasets.hub import hub_file
from funprm.datasets.packed import unpack_text
from funprm.datasets.probes import PROBE_SECONDS, probe_cases
from funprm.datasets.rows import data_files, read_rows, with_key
from funprm.datasets.split import Fractions, assign, check_split, require_some
from funprm.errors import ConfigError, DataError, nearest
from funprm.records import Case, Difficulty, Problem, Split, Suite

Release = Literal["v1", "v2", "v3", "v4", "v5", "v6"]

_REPOSITORY = "livecodebench/code_generation_lite"
_PLATFORMS = ("leetcode", "atcoder", "codeforces")
_DIFFICULTIES = ("easy", "medium", "hard")

_MODULES = """string re datetime collections heapq bisect copy math random statistics itertools
functools operator io sys json builtins typing""".split()
_PLAIN = [name for name in _MODULES if name not in ("builtins", "typing")]
PRELUDE = "".join(
    [
        *(f"from {name} import *\n" for name in _MODULES),
        *(f"import {name}\n" for name in _PLAIN),
        "sys.setrecursionlimit(50000)\n",
    ]
)
"""What the official checker places before every program."""


class _Test(msgspec.Struct):
    input: str
    output: str
    public: bool = False


class _Row(msgspec.Struct):
    question_id: str
    question_content: str
    platform: str
    difficulty: Difficulty
    contest_date: str
    starter_code: str = ""
    # Test texts stay undecoded until it is known that the problem is wanted.
    public_test_cases: msgspec.Raw = msgspec.Raw(b"[]")
    private_test_cases: msgspec.Raw = msgspec.Raw(b"[]")
    metadata: str = "{}"
    fn_name: str | None = None
    tests: msgspec.Raw = msgspec.Raw(b"[]")


class _Metadata(msgspec.Struct):
    func_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class LiveCodeBenchDataset:
    """LiveCodeBench's code generation problems, by window and split.

    Dates are days as in 2025-02-01; empty ones set no limit.
    """

    path: str = ""
    """A file, or the folder of `test.jsonl` ... `test6.jsonl`; empty: from the hub."""
    release: Release = "v6"
    """Which files of a folder or of the hub: v1 the first, v6 all six."""
    start_date: str = ""
    """First day of contests."""
    end_date: str = ""
    """Last day of contests."""
    difficulties: tuple[str, ...] = ()
    """Of easy, medium, hard; empty: all."""
    platforms: tuple[str, ...] = ()
    """Of leetcode, atcoder, codeforces; empty: all."""
    exclude: tuple[str, ...] = ()
    """Ids of problems to leave out (wrong tests, several right answers)."""
    split: Split | Fractions = "test"
    """One split for all problems, or fractions of them by problem."""
    train_before: str = ""
    """Later contests are not split: they are test problems, or left out before `test_from`."""
    test_from: str = ""
    """From this day on, contests are test problems."""
    probes: int = 16
    """Number of inputs on which candidates' answers are compared; 0: none."""
    seconds: float = 6.0
    """CPU limit of each test; the default is the official one."""
    memory_mb: int = 1024

    def __post_init__(self) -> None:
        check_split(self.split)
        for name in ("start_date", "end_date", "train_before", "test_from"):
            _check_day(name, getattr(self, name))
        _check_values("difficulties", self.difficulties, _DIFFICULTIES)
        _check_values("platforms", self.platforms, _PLATFORMS)

    def load(self) -> Iterator[Problem]:
        """The problems of the window, in the files' order.

        Raises:
            InputError: no such file, here or on the hub.
            RecordError: a line that cannot be read.
            DataError: a problem without tests or with packed tests that are not plain text; no
                problem in the window.
        """
        count = 0
        for file in self._files():
            for where, row in read_rows(file, _Row):
                split = self._split(row)
                if split is not None:
                    yield self._problem(row, split, where)
                    count += 1
        require_some(count, f"of LiveCodeBench in the window {self._window()}")

    def _files(self) -> Iterator[Path]:
        names = ["test.jsonl", *(f"test{i}.jsonl" for i in range(2, int(self.release[1:]) + 1))]
        if not self.path:
            yield from (hub_file(_REPOSITORY, name) for name in names)
            return
        source = f"get {', '.join(names)} from huggingface.co/datasets/{_REPOSITORY}"
        if Path(self.path).expanduser().is_dir():
            for name in names:
                yield from data_files(self.path, [name, f"{name}.gz"], source)
            return
        yield from data_files(self.path, (), source)

    def _window(self) -> str:
        kinds = "/".join([*self.difficulties, *self.platforms])
        return f"{self.start_date or 'start'} to {self.end_date or 'end'}" + (
            f" ({kinds})" if kinds else ""
        )

    def _split(self, row: _Row) -> Split | None:
        """The split of a problem; None where it is not wanted."""
        day = row.contest_date[:10]
        if (self.start_date and day < self.start_date) or (self.end_date and day > self.end_date):
            return None
        if row.question_id in self.exclude or not (
            _among(row.difficulty, self.difficulties) and _among(row.platform, self.platforms)
        ):
            return None
        if self.test_from and day >= self.test_from:
            return "test"
        if self.train_before and day >= self.train_before:
            return None if self.test_from else "test"
        return assign(row.question_id, self.split)

    def _problem(self, row: _Row, split: Split, where: str) -> Problem:
        tests = _tests(row, where)
        if not tests:
            raise DataError(f"{where}: problem {row.question_id!r} has no tests; exclude it")
        name = row.fn_name or _function_name(row, where)
        public = [Case(input=t.input, output=t.output) for t in tests if t.public]
        return with_key(
            Problem(
                key="",
                problem_id=row.question_id,
                statement=row.question_content,
                starter_code=row.starter_code,
                hidden=self._suite(name, [Case(input=t.input, output=t.output) for t in tests]),
                public=self._suite(name, public) if public else None,
                probe=self._probe(row, name, public) if public and self.probes else None,
                difficulty=row.difficulty,
                split=split,
                date=row.contest_date[:10],
                platform=row.platform,
            )
        )

    def _suite(self, name: str, cases: list[Case]) -> Suite:
        return Suite(
            kind="functional" if name else "stdin",
            cases=tuple(cases),
            entry_point=name,
            prelude=PRELUDE,
            seconds=self.seconds,
            memory_mb=self.memory_mb,
        )

    def _probe(self, row: _Row, name: str, public: list[Case]) -> Suite:
        """Inputs of public tests; for functions mutations of them, too (text has a grammar)."""
        if not name:
            return self._suite(name, [Case(input=case.input) for case in public[: self.probes]])
        inputs = [[msgspec.json.decode(a) for a in case.input.splitlines()] for case in public]
        suite = self._suite(name, list(probe_cases(inputs, self.probes, row.question_id)))
        return replace(suite, seconds=min(self.seconds, PROBE_SECONDS))


def _among(value: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or value in wanted


def _check_values(name: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
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


def _function_name(row: _Row, where: str) -> str:
    try:
        return msgspec.json.decode(row.metadata or "{}", type=_Metadata).func_name or ""
    except msgspec.DecodeError as error:
        message = f"{where}: problem {row.question_id!r}: metadata is no JSON object ({error})"
        raise DataError(message) from error


def _tests(row: _Row, where: str) -> list[_Test]:
    where = f"{where}: problem {row.question_id!r}"
    tests = _decoded(bytes(row.tests), where)
    public = _decoded(_text(row.public_test_cases, where).encode(), where)
    for test in public:
        test.public = True
    private = _text(row.private_test_cases, where)
    if private and private[0] != "[":
        private = unpack_text(private, where)
    return [*tests, *public, *_decoded(private.encode(), where)]


def _text(raw: msgspec.Raw, where: str) -> str:
    """JSON in a JSON text, as the official files have it; a plain list is taken, too."""
    encoded = bytes(raw)
    try:
        return msgspec.json.decode(encoded, type=str) if encoded[:1] == b'"' else encoded.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: tests that are not UTF-8 ({error}); fetch it again") from error


def _decoded(encoded: bytes, where: str) -> list[_Test]:
    try:
        return msgspec.json.decode(encoded or b"[]", type=list[_Test])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{where}: tests that are no list of inputs and outputs ({error})"
        raise DataError(message) from error
