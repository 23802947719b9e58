"""The nouns: one frozen record per stored file.

Every record that is stored has a `key`: a hash of what determines it. Ids are never parsed.
Text offsets count characters. Times are seconds, memory is mebibytes.
"""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Literal

SCHEMA = 1
"""Version of all record types; raised when a stored field changes its meaning."""

Json = Any
"""Anything that JSON can hold."""


def key_of(*parts: Json) -> str:
    """A stable 128-bit key of JSON-serialisable parts, as 32 hex digits.

    >>> key_of("verdict", 1, {"b": 2, "a": 1}) == key_of("verdict", 1, {"a": 1, "b": 2})
    True
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def seed_of(*parts: Json) -> int:
    """A stable seed of JSON-serialisable parts: 31 bits, which every server takes.

    >>> 0 <= seed_of("generation", 0) < 2**31
    True
    """
    return int(key_of("seed", *parts)[:8], 16) % 2**31


def shared_fields(record: Any, kind: type[Any]) -> dict[str, Any]:  # noqa: ANN401
    """Values of the fields that a record and another type of record have in common.

    Args:
        record: an instance of a dataclass.
        kind: a dataclass.
    """
    names = {field.name for field in fields(kind)}
    return {f.name: getattr(record, f.name) for f in fields(record) if f.name in names}


SuiteKind = Literal["stdin", "functional", "check", "unittest"]
Split = Literal["train", "meta", "validation", "test"]
Difficulty = Literal["easy", "medium", "hard", ""]

PACKED_FROM = 65_536
"""Characters of a suite's cases from which on they are packed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One test: input and expected output.

    For `stdin` suites both are the text of a stream. For `functional` suites `input` holds one
    JSON value per line (the arguments) and `output` one JSON value. `output` None means that
    nothing is compared: the case only asks what the program answers.
    """

    input: str
    output: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """The tests of a problem, of one kind, with their limits.

    kind `stdin`: the program reads standard input. `functional`: `entry_point` names a function,
    or a method of `class Solution`. `check`: `code` defines `check(candidate)`, called with
    `entry_point` (a name or an expression such as `Solution().f`). `unittest`: `code` defines
    `class TestCases(unittest.TestCase)`.
    """

    kind: SuiteKind
    cases: tuple[Case, ...] = ()
    packed: str = ""
    """In place of many cases: base64 of zlib of JSON, a list of [input, output]. Only the judge
    unpacks them; on disk and in memory a suite keeps to a fraction of its size."""
    entry_point: str = ""
    code: str = ""
    prelude: str = ""
    """Source placed before the program (imports in scope, a calibrated stub)."""
    seconds: float = 6.0
    """CPU limit per case, or of the whole suite for `check` and `unittest`."""
    memory_mb: int = 1024

    @property
    def has_tests(self) -> bool:
        """Whether there is anything to judge a program by."""
        return bool(self.cases or self.packed or self.code)

    def compact(self) -> "Suite":
        """The suite with its cases packed, if they are large; else as it is."""
        size = sum(len(case.input) + len(case.output or "") for case in self.cases)
        if size < PACKED_FROM:
            return self
        text = json.dumps([[case.input, case.output] for case in self.cases])
        packed = base64.b64encode(zlib.compress(text.encode(), level=1)).decode()
        return replace(self, cases=(), packed=packed)

    def unpacked(self) -> "Suite":
        """The suite with its cases to hand.

        >>> suite = Suite(kind="stdin", cases=(Case(input="1" * PACKED_FROM, output="2"),))
        >>> suite.compact().cases, suite.compact().unpacked() == suite
        ((), True)
        """
        if not self.packed:
            return self
        rows = json.loads(zlib.decompress(base64.b64decode(self.packed)))
        cases = tuple(Case(input=given, output=output) for given, output in rows)
        return replace(self, cases=cases, packed="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A programming problem.

    Stored in `problems.jsonl`.
    """

    key: str
    problem_id: str
    statement: str
    hidden: Suite
    public: Suite | None = None
    probe: Suite | None = None
    """Inputs without answers, on which candidates' outputs are compared (majority)."""
    starter_code: str = ""
    difficulty: Difficulty = ""
    split: Split = "test"
    reference: str | None = None
    date: str = ""
    platform: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One complete program that the policy wrote; stored in `generations.jsonl`."""

    key: str
    problem_id: str
    index: int
    """Number of the sample among those of its problem, from 0."""
    code: str
    text: str = ""
    """The raw answer where it differs from `code`."""
    policy: str = ""
    finish: Literal["stop", "length", "empty", "refused"] = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprob: float | None = None
    """Sum of the log-probabilities of the answer's tokens (natural log), as far as they are given:
    those of hidden reasoning are not."""
    logprob_tokens: int = 0
    """Number of tokens that `logprob` sums over; 0: unknown (records of older versions)."""
    self_certainty: float | None = None
    """Mean over tokens of KL(uniform || policy), arXiv 2502.18581."""
    seconds: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Where the steps of a generation end; stored in `steps.jsonl`.

    `key` is the generation's. Step i is `code[ends[i-1]:ends[i]]`; prefix i is `code[:ends[i]]`;
    the last end is the length of the code.
    """

    key: str
    ends: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One completion of a prefix; stored in `rollouts.jsonl`.

    `prefix` is `key_of(problem_id, prefix text)`: equal prefixes of a problem share rollouts.
    """

    key: str
    problem_id: str
    prefix: str
    index: int
    code: str
    """The complete program, prefix included."""
    kept: bool = True
    """False: the policy changed the prefix, so the completion says nothing about it."""
    completion_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0


class Status(StrEnum):
    """What the tests say of a program, or of one case."""

    PASSED = "passed"
    WRONG_ANSWER = "wrong answer"
    RUNTIME_ERROR = "runtime error"
    TIME_LIMIT = "time limit"
    MEMORY_LIMIT = "memory limit"
    OUTPUT_LIMIT = "output limit"
    NOT_JUDGED = "not judged"
    """The judge itself failed: never counted as a failure of the program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseResult:
    """What happened in one case."""

    index: int
    status: Status
    cpu: float = 0.0
    wall: float = 0.0
    memory_mb: float = 0.0
    digest: str = ""
    """Hash of the normalised output; empty where there is none."""
    detail: str = ""
    """A short excerpt for people: error, or input, expected, got."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a suite says of a program; stored in `verdicts.jsonl`."""

    key: str
    status: Status
    results: tuple[CaseResult, ...] = ()
    total: int = 0
    """Number of cases of the suite (1 for `check` and `unittest`)."""
    detail: str = ""

    @property
    def passed(self) -> bool | None:
        """True or False; None where the program was not judged."""
        return None if self.status is Status.NOT_JUDGED else self.status is Status.PASSED


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramVerdict:
    """What a suite of its problem says of a program in a file; a line that `funprm judge` writes.

    The file holds one line per program, all by the same suite and rules.
    """

    key: str
    """The program's own, or `<problem_id>#<number>`: its place, from 0, among those of its problem
    in the file."""
    problem_id: str
    suite: Literal["hidden", "public"]
    digest: str
    """Of all that determines a verdict: tests, program, and the judge's rules and interpreter. A
    later call keeps the line only if it would judge the same. Empty where nothing was run."""
    status: Status
    total: int = 0
    """Number of cases of the suite (1 for `check` and `unittest`)."""
    detail: str = ""
    results: tuple[CaseResult, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reward:
    """Monte-Carlo evidence for one step of one generation; stored in `rewards.jsonl`.

    k of n judged completions passed. The last step is the complete program itself: n is 1.
    """

    key: str
    generation: str
    problem_id: str
    step: int
    prefix: str
    k: int
    n: int
    not_judged: int = 0
    final: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Step scores in [0, 1] of one generation by one model; stored in `scores.jsonl`.

    `scores` is empty where the program did not fit the model's input.
    """

    key: str
    model: str
    generation: str
    scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which of N generations a selector chose; stored in `selections.jsonl`."""

    key: str
    selector: str
    problem_id: str
    n: int
    generation: str
    passed: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledProgram:
    """A program with its evidence, as the reward model is trained on it (not stored).

    All tuples have one entry per step. The last step's evidence is the program's own verdict.
    """

    generation: str
    problem_id: str
    statement: str
    steps: tuple[str, ...]
    prefixes: tuple[str, ...]
    k: tuple[int, ...] = field(default=())
    n: tuple[int, ...] = field(default=())

    @property
    def outcome(self) -> float | None:
        """1.0 if the complete program passed, 0.0 if not, None if it was not judged."""
        return float(self.k[-1]) if self.n and self.n[-1] else None
