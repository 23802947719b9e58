"""The nouns: one frozen record per stored file.

Every record that is stored has a `key`: a hash of what determines it. Ids are never parsed.
Text offsets count characters. Times are seconds, memory is mebibytes.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Literal

from funprm.errors import InputError
from funprm.labelled_program import LabelledProgram as LabelledProgram
from funprm.suites import PACKED_FROM as PACKED_FROM
from funprm.suites import Case as Case
from funprm.suites import Example as Example
from funprm.suites import Suite as Suite
from funprm.suites import SuiteKind as SuiteKind

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


Split = Literal["train", "meta", "validation", "test"]
Difficulty = Literal["easy", "medium", "hard", ""]


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

    @classmethod
    def of(
        cls,
        statement: str,
        *,
        entry_point: str = "",
        examples: Iterable[Example] = (),
        hidden: Iterable[Example] | Suite = (),
        starter_code: str = "",
        problem_id: str = "problem",
    ) -> "Problem":
        """A problem from what one has at hand, with the key that its content gives it.

        >>> Problem.of("Return a + b.", entry_point="add", examples=[((1, 2), 3)])
        Problem('problem', 'Return a + b.', entry_point='add', tests=1, public=1)
        >>> Problem.of("Print the sum.", examples=[("1 2", "3")], hidden=[("2 2", "4")])
        Problem('problem', 'Print the sum.', tests=2, public=1)

        Args:
            statement: what the policy and the reward model read.
            entry_point: function or method that is to be written; empty: a program that reads
                standard input.
            examples: public tests, which may choose among programs; pairs as in `Suite.of`.
            hidden: further tests, which only tell whether a program is right; or a whole suite
                (of kind `check` or `unittest`), which then stands alone.
            starter_code: code that the program begins with.
            problem_id: its name among other problems.

        Raises:
            InputError: the statement is empty.
            DataError: a test cannot be used.
        """
        if not statement.strip():
            raise InputError("the statement is empty: expected the text of a problem")
        public = Suite.of(examples, entry_point=entry_point)
        if not isinstance(hidden, Suite):
            more = Suite.of(hidden, entry_point=entry_point)
            hidden = replace(public, cases=(*public.cases, *more.cases))
        return cls(
            key="",
            problem_id=problem_id,
            statement=statement,
            hidden=hidden,
            public=public if public.cases else None,
            starter_code=starter_code,
        ).with_key()

    def with_key(self) -> "Problem":
        """The problem with its key: a hash of its texts and tests, limits apart."""
        suites = [_content(suite) for suite in (self.hidden, self.public, self.probe)]
        texts = [self.problem_id, self.statement, self.starter_code]
        return replace(self, key=key_of("problem", SCHEMA, texts, suites))

    def __repr__(self) -> str:
        entry = f", entry_point={self.hidden.entry_point!r}" if self.hidden.entry_point else ""
        public = _size(self.public) if self.public else 0
        tests = f"tests={_size(self.hidden)}, public={public}"
        return f"Problem({self.problem_id!r}, {_short(self.statement)!r}{entry}, {tests})"


def _size(suite: Suite) -> int | str:
    return len(suite.cases) or ("packed" if suite.packed else suite.code and suite.kind) or 0


def _content(suite: Suite | None) -> Json:
    """What tells a suite from others, its limits apart."""
    if suite is None:
        return None
    cases = [[case.input, case.output] for case in suite.unpacked().cases]
    return [suite.kind, suite.entry_point, suite.code, suite.prelude, cases]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One complete program that the policy wrote; stored in `generations.jsonl`.

    Answers of all chats but a prompt's last are stored in `drafts.jsonl`, for the next chat.
    """

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
    drafts: tuple[str, ...] = ()
    """Programs of the chats before the last, where a prompt has several. `code` is the last draft
    where the program that was made of it failed public tests that the draft passes."""

    def __repr__(self) -> str:
        finish = "" if self.finish == "stop" else f", {self.finish}"
        return f"Generation({self.problem_id!r}, {self.index}{finish}, {_short(self.code)!r})"


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
    prompt_tokens: int = 0
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
    """Scores in [0, 1] of one generation by one model or scorer; stored in `scores.jsonl`.

    One per step, or one alone: of the complete program. `scores` is empty where the program did
    not fit the model's input.
    """

    key: str
    model: str
    """Its name in `[models]` or `[scorers]`."""
    generation: str
    scores: tuple[float, ...]
    tokens: int = 0
    """Prompt and completion tokens that they took, where a server counts them."""
    cost: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which of N generations a selector chose; stored in `selections.jsonl`."""

    key: str
    selector: str
    problem_id: str
    n: int
    generation: str
    passed: bool | None
