"""LiveCodeBench (arXiv 2403.07974): problems of programming contests, dated.

Read are the files of `livecodebench/code_generation_lite` (`test.jsonl` ... `test6.jsonl`), and
files with the fields `fn_name` and `tests` (`input`, `output`, `public`) instead.
"""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec

from funprm.datasets._docstring_examples import decode_arguments
from funprm.datasets._files import Source
from funprm.datasets._probes import MAX_CHARACTERS, PROBE_SECONDS, probe_cases
from funprm.datasets.base import DatedDataset, ProblemBody, ProblemHeader, check_values
from funprm.datasets.livecodebench.packed import unpack_text
from funprm.errors import ConfigError, DataError
from funprm.records import Case, Difficulty, Json, Split, Suite

_REPOSITORY = "livecodebench/code_generation_lite"
_PLATFORMS = ("leetcode", "atcoder", "codeforces")
_FILES = 6
"""Of the benchmark: `test.jsonl`, `test2.jsonl`, ... `test6.jsonl`."""

_LONGEST = 6 * MAX_CHARACTERS
"""Characters from which on the input of a test, however it is escaped, is no probe's."""

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
class LiveCodeBenchDataset(DatedDataset[_Row]):
    """LiveCodeBench's code generation problems, by release, window and split."""

    row: ClassVar[type] = _Row
    reader: ClassVar[int] = 2
    title: ClassVar[str] = "LiveCodeBench"

    release: str = "release_v6"
    """Which files of a folder or of the hub, as the official loader names them: `release_v3` or
    `v1_v3` are the first three, `v4_v6` the last three, `v6` the sixth, `release_latest` all."""
    platforms: tuple[str, ...] = ()
    """Of leetcode, atcoder, codeforces; empty: all."""
    probes: int = 16
    """Number of inputs on which candidates' answers are compared; 0: none."""
    seconds: float = 6.0
    """CPU limit of each test; the default is the official one."""
    memory_mb: int = 1024

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: a day is none; a difficulty, platform or release is unknown.
        """
        super().__post_init__()
        check_values("platforms", self.platforms, _PLATFORMS)
        _file_numbers(self.release)

    def _source(self) -> Source:
        numbers = _file_numbers(self.release)
        names = tuple(f"test{'' if number == 1 else number}.jsonl" for number in numbers)
        return Source(
            repository=_REPOSITORY,
            remote=names,
            local=tuple((name, f"{name}.gz") for name in names),
        )

    def _selection(self) -> str:
        platforms = f" on {'/'.join(self.platforms)}" if self.platforms else ""
        return f"{super()._selection()}{platforms}"

    def _header(self, row: _Row) -> ProblemHeader:
        return ProblemHeader(
            problem_id=row.question_id,
            platform=row.platform,
            difficulty=row.difficulty,
            day=row.contest_date[:10],
        )

    def _split(self, row: _Row, header: ProblemHeader) -> Split | None:
        if self.platforms and header.platform not in self.platforms:
            return None
        return super()._split(row, header)

    def _body(self, row: _Row, where: str) -> ProblemBody:
        tests = _tests(row, where)
        if not tests:
            raise DataError(f"{where} has no tests; exclude it")
        name = row.fn_name or _function_name(row, where)
        public = [Case(input=t.input, output=t.output) for t in tests if t.public]
        return ProblemBody(
            statement=row.question_content,
            starter_code=row.starter_code,
            hidden=self._suite(name, [Case(input=t.input, output=t.output) for t in tests]),
            public=self._suite(name, public) if public else None,
            probe=self._probe(row, name, tests, where) if public and self.probes else None,
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

    def _probe(self, row: _Row, name: str, tests: list[_Test], where: str) -> Suite:
        """Inputs of public tests; for functions mutations of them, too (text has a grammar)."""
        public = [test.input for test in tests if test.public]
        if not name:
            return self._suite(name, [Case(input=text) for text in public[: self.probes]])
        known = [_arguments(text, where) for text in public]
        hidden = [_arguments(t.input, where) for t in tests if len(t.input) <= _LONGEST]
        cases = probe_cases(known, self.probes, row.question_id, hidden=hidden)
        suite = self._suite(name, list(cases))
        return replace(suite, seconds=min(self.seconds, PROBE_SECONDS))


def _arguments(text: str, where: str) -> list[Json]:
    try:
        return decode_arguments(text)
    except ValueError as error:
        raise DataError(
            f"{where}: the input {text[:60]!r} of a test is not one JSON value per line ({error}); "
            "exclude it"
        ) from error


def _file_numbers(release: str) -> range:
    """The files of a release, from 1.

    Raises:
        ConfigError: there is no such release.
    """
    latest = re.sub("latest$", f"v{_FILES}", release)
    match = re.fullmatch(r"(release_)?v([1-9])(?:_v([1-9]))?", latest)
    if match and not (match[1] and match[3]):
        last = int(match[3] or match[2])
        first = 1 if match[1] else int(match[2])
        if first <= last <= _FILES:
            return range(first, last + 1)
    raise ConfigError(
        f"release = {release!r}: expected release_v1 to release_v{_FILES}, release_latest, "
        f"one file (v1 to v{_FILES}), or a range of files such as v4_v{_FILES}"
    )


def _function_name(row: _Row, where: str) -> str:
    try:
        return msgspec.json.decode(row.metadata or "{}", type=_Metadata).func_name or ""
    except msgspec.DecodeError as error:
        raise DataError(f"{where}: metadata is no JSON object ({error})") from error


def _tests(row: _Row, where: str) -> list[_Test]:
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
