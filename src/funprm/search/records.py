"""What a search stores: the nodes of its tree."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A program that a search had written, or the beginning of one; stored in `nodes.jsonl`.

    A line is written the moment the answer arrives, and again with what was found out of it: of
    equal keys the last one counts.
    """

    key: str
    """Of what was asked for; the same in every search that asks for it."""
    problem_id: str
    parent: str = ""
    """Key of the node that it goes on from, or rewrites a function of; empty: it is a fresh one."""
    index: int = 0
    """Number among those with the same beginning, from 0."""
    code: str = ""
    """The whole text. One that goes on ends with the line that opens its next function."""
    finish: Literal["step", "stop", "length", "empty", "refused"] = "stop"
    """How the answer ended; `step`: a function is whole, and another one begins."""
    kept: bool = True
    """False: the policy changed the beginning, so this is no part of the tree."""
    stream: int = 0
    """Seed whose random numbers its last part was drawn with."""
    drawn: int = 0
    """How many tokens of the program were drawn with them, one after the other."""
    prompt_tokens: int = 0
    """Tokens read for its last part."""
    completion_tokens: int = 0
    """Tokens written for its last part, those that were cut off with it."""
    logprob: float | None = None
    logprob_tokens: int = 0
    self_certainty: float | None = None
    seconds: float = 0.0
    cost: float = 0.0
    model: str = ""
    """Digest of the reward model that scored it; empty: not scored."""
    scores: tuple[float, ...] = ()
    """Scores in [0, 1] of its whole steps, or one of all; empty: they did not fit the input."""
    score_tokens: int = 0
    """What a paid scorer took for it."""
    score_cost: float = 0.0
    passed: bool | None = None
    """Whether a complete program passes the public tests; None: not judged."""

    @property
    def goes_on(self) -> bool:
        """Whether it is the beginning of a program."""
        return self.kept and self.finish == "step"

    @property
    def complete(self) -> bool:
        """Whether it is a program, though perhaps one that was cut off."""
        return self.kept and self.finish in ("stop", "length")
