"""Rows of tokens that are wanted, drawn and finished; rows that wait."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One continuation that is wanted."""

    prompt: tuple[int, ...]
    """Token ids; not empty."""
    limit: int
    """Most tokens to draw; at least 1."""
    stream: int
    """Names the row's uniforms, 64 bits: equal streams draw equal uniforms."""
    first: int = 0
    """Number of the first uniform: a row may go on where another one ended."""
    ends: Callable[[tuple[int, ...]], bool] | None = None
    """Whether the row is complete with these tokens; asked after each token of `asks`."""
    asks: frozenset[int] = frozenset()
    """Tokens that may end the row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How tokens are drawn."""

    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Draws from the likeliest tokens that together have this probability."""
    stop: frozenset[int] = frozenset()
    """Tokens that end a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Continuation:
    """What was drawn for a row."""

    tokens: tuple[int, ...]
    """All drawn tokens, the one that ended the row included."""
    stopped: bool
    """False: the limit was reached first."""
    logprob: float
    """Sum of the tokens' log-probabilities under the model itself (temperature 1, all tokens)."""
    self_certainty: float
    """Mean over the tokens of KL(uniform || model) in nats, arXiv 2502.18581, equation 5."""
    seconds: float = 0.0
    """Its share of the time that the rows beside it took, too."""


@dataclass(kw_only=True, slots=True)
class Drawing:
    """A row while it is drawn."""

    number: int
    row: Row
    begin: int
    """Column of the prompt's first token, counted from the batch's beginning."""
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    certainty: float = 0.0
    seconds: float = 0.0

    def take(self, token: int, logprob: float, certainty: float) -> None:
        """One token more."""
        self.tokens.append(token)
        self.logprob += logprob
        self.certainty += certainty

    def ended(self, rule: Rule) -> Continuation | None:
        """The continuation, if the last token ended it."""
        last, ends = self.tokens[-1], self.row.ends
        stopped = last in rule.stop
        if not stopped and last in self.row.asks and ends is not None:
            stopped = ends(tuple(self.tokens))
        if not stopped and len(self.tokens) < self.row.limit:
            return None
        return Continuation(
            tokens=tuple(self.tokens),
            stopped=stopped,
            logprob=self.logprob,
            self_certainty=self.certainty / len(self.tokens),
            seconds=self.seconds,
        )


class Waiting:
    """Rows that wait, taken from their source as late as possible."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._source = enumerate(rows)
        self._ahead: deque[tuple[int, Row]] = deque()

    def ahead(self, count: int) -> list[tuple[int, Row]]:
        """The next rows with their numbers; fewer where the source ends."""
        self._ahead.extend(islice(self._source, max(0, count - len(self._ahead))))
        return list(islice(self._ahead, count))

    def take(self) -> tuple[int, Row]:
        """The next row with its number."""
        return self._ahead.popleft()

    def put_back(self, rows: Iterable[tuple[int, Row]]) -> None:
        """Rows that are to be drawn again."""
        self._ahead.extendleft(sorted(rows, key=lambda item: item[0], reverse=True))
