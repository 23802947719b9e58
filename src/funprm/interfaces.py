"""The replaceable parts, all of them.

A part is named in a run's configuration and found through an entry point of the group given
here (see `registry`); its constructor's arguments are its configuration keys. Sequences go in,
iterators come out, so that every result can be stored the moment it exists.
`identity()` returns what determines the results (model, temperature, rules, contents of files),
never what does not (endpoint, concurrency, device, place of a file): it goes into the records'
keys. Options of the second kind may change within a run folder, if the part's class names them in
`transport: ClassVar[frozenset[str]]`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, Self

from funprm.records import Json, LabelledProgram, Problem, Suite, Verdict

TEMPLATE = "template:"
"""What a policy's setting `prompt` begins with where it is a template's text, not a style."""


class Dataset(Protocol):
    """Problems. Entry-point group `funprm.datasets`.

    A method `identity() -> Mapping[str, Json]` says what determines the problems (settings,
    contents of files); without it a run reads all problems at every call to see whether they
    have changed.
    """

    def load(self) -> Iterable[Problem]:
        """All problems with their splits, in a fixed order."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One program wanted from a policy."""

    key: str
    problem: Problem
    index: int
    seed: int
    """Names the answer's random numbers, 31 bits: every policy that draws answers (in this process
    or behind a server that knows seeds) draws them from problem, prefix and seed alone."""
    prefix: str = ""
    """Program text that the answer must begin with; empty for a fresh program."""
    blank_lines: str = ""
    """Line breaks that may be put after the prefix, as programs have them there: what continues
    text goes wrong where a token holds the last line's end and the blank lines together."""
    drafts: tuple[str, ...] = ()
    """Programs that a style's earlier chats led to (`Policy`): the next chat is asked for."""
    steps: int = 0
    """The answer may end (`finish="step"`) once the program has so many whole steps and a line
    that opens another (`steps.opening_lines`); 0: it goes on to the program's end. A policy need
    not know it: what it writes beyond is cut off, and paid."""
    continues: tuple[int, int] | None = None
    """Seed that the prefix was drawn with, and how many tokens of it; a policy that draws here may
    go on in that stream of random numbers, so that the parts are what one call would have
    written. Else the request's own seed counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One answer of a policy; fields as in `records.Generation`."""

    key: str
    code: str
    text: str = ""
    finish: Literal["stop", "step", "length", "empty", "refused"] = "stop"
    kept: bool = True
    """False where a wanted prefix was changed."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprob: float | None = None
    logprob_tokens: int = 0
    self_certainty: float | None = None
    seconds: float = 0.0
    cost: float = 0.0
    drafts: tuple[str, ...] = ()
    """Programs of a style's earlier chats; the pipeline puts them there."""


class Policy(Protocol):
    """Writes and continues programs. Entry-point group `funprm.policies`.

    A policy whose prompts are several chats, one after the other, has a property `chats` that
    counts them (1 without it). It is asked for each in turn, with the programs so far in
    `Request.drafts`.

    A class may say `streams: ClassVar[bool] = True`: one call of `sample` then gets all requests of
    a stage, takes them as it has room, and answers as programs end; `batch` may then be 0. A policy
    that has an attribute `on_tokens` gets a function there, to be told how many tokens more it
    has written, and how many its unfinished answers hold (`Progress.tokens`).
    """

    batch: int
    """How many requests make one call of `sample`."""
    whole_batches: ClassVar[bool]
    """True: answers may depend on the call's other requests (floating point), so an interrupted
    call is repeated whole. False: only what is missing is asked for (paid answers)."""
    unanswered_is_final: ClassVar[bool]
    """True: a request left without an answer will never get one (recorded programs)."""

    def identity(self) -> Mapping[str, Json]:
        """What determines the answers."""
        ...

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        """Answers in any order, one per request that could be answered.

        Raises:
            PolicyError: no request can be answered (unknown model, wrong key, unreachable).
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One program to be judged by one suite."""

    key: str
    code: str
    suite: Suite
    stop_at_first_failure: bool = True
    show: Callable[[int, str], object] | None = field(default=None, compare=False)
    """Told of a case's number and the answer to it, as text, where there is one; of a case that is
    run again, once more. An executor need not know it."""


class Executor(Protocol):
    """Judges untrusted programs in isolation. Entry-point group `funprm.executors`."""

    def identity(self) -> Mapping[str, Json]:
        """The rules that determine verdicts."""
        ...

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """One verdict per job, as they come. Consumes `jobs` lazily."""
        ...

    def close(self) -> None:
        """End all worker processes."""
        ...


class PaidScores(tuple[float, ...]):
    """A program's scores with what they cost, where a scorer wants that told.

    >>> found = PaidScores([0.25, 0.75], tokens=812)
    >>> found == (0.25, 0.75), found.tokens
    (True, 812)
    """

    tokens: int
    cost: float

    def __new__(cls, scores: Iterable[float], *, tokens: int = 0, cost: float = 0.0) -> Self:
        """Scores, prompt and completion tokens, and money."""
        made = super().__new__(cls, scores)
        made.tokens, made.cost = tokens, cost
        return made


class Scorer(Protocol):
    """Says how good programs are. Entry-point group `funprm.scorers`.

    The constructor is cheap: it loads no weights and asks no server, so that settings are checked,
    and stored scores found again, at no cost. A scorer may have a property `aggregator`: how
    its step scores are read whatever the settings want (`last`: an outcome model's; empty: as they
    want).
    """

    def identity(self) -> Mapping[str, Json]:
        """What determines the scores: weights, texts around a program, what a score is of them."""
        ...

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...] | None]:
        """The scores of each program, in order, the moment they exist.

        Scores are in [0, 1]; greater is better. There is one per step, or one alone, which is that
        of the complete program. Empty: the program does not fit the scorer's input, and never
        will. None: there was a fault; the program is asked for again by a later call.

        Raises:
            FunprmError: nothing can be scored (no such model, no connection, a wrong key).
        """
        ...


class Progress(Protocol):
    """Where long work shows how far it is.

    A method `tokens(new, unfinished)`, where there is one, hears how many tokens more were written,
    and how many the unfinished answers hold.
    """

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` units begins; `done` of them were stored before."""
        ...

    def advance(self, count: int = 1) -> None:
        """`count` more units are done."""
        ...

    def finish(self, note: str) -> None:
        """The stage is complete; `note` says what came out."""
        ...
