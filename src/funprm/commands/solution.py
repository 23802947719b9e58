"""The answer to one problem: the selected program, all candidates, and how they are shown.

Every text of others is escaped in what a notebook shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Literal

import msgspec

from funprm.steps import find_steps, step_texts

Found = Literal["passes", "untested", "fails", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A candidate program with all that is known of it."""

    index: int
    """Number of the sample, from 0."""
    chosen: bool
    code: str
    finish: str
    """How the answer ended, as in `records.Generation`."""
    tests: float | None
    """Share of the tests passed, in [0, 1]; None: there are none."""
    score: float | None
    """Aggregated step scores; None: no reward model, or the program did not fit."""
    functions: tuple[tuple[str, float | None], ...]
    """Name and score in [0, 1] of each step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """The selected program, and what it was selected from."""

    found: Found
    """Whether it passes all tests, there are no tests, it fails some, or there is no program."""
    code: str
    selector: str
    """As in docs/method.md; empty where there is no program."""
    summary: str
    """One line for people."""
    candidates: tuple[Judged, ...]
    """The chosen one, then the others from best to worst."""

    def __repr__(self) -> str:
        return f"{self.summary}\n\n{self.code}".rstrip()

    def _repr_html_(self) -> str:
        return _html(self)

    def json(self) -> str:
        """Everything, as one JSON object."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()

    def table(self) -> str:
        """One line per candidate with its tests, its score and its functions' scores."""
        rows = ["      tests  score  functions"]
        rows += [_row(candidate) for candidate in self.candidates]
        return "\n".join(rows)


def _row(candidate: Judged) -> str:
    tests = "-" if candidate.tests is None else f"{candidate.tests:.0%}"
    score = "-" if candidate.score is None else f"{candidate.score:.2f}"
    functions = "  ".join(
        f"{name or '(no function)'}{'' if value is None else f' {value:.2f}'}"
        for name, value in candidate.functions
    )
    mark = "*" if candidate.chosen else " "
    note = "" if candidate.finish == "stop" else f"  [{_FINISH[candidate.finish]}]"
    return f"{mark} {candidate.index:>2} {tests:>6} {score:>6}  {functions}{note}"


_FINISH = {"length": "cut off", "empty": "no program", "refused": "refused"}

_GOOD, _BAD = "31, 120, 200", "235, 120, 30"
"""Blue and orange, which colour-blind readers tell apart, as red, green, blue."""


def _html(solution: Solution) -> str:
    """How it was chosen, the program with its functions coloured by score, all candidates."""
    chosen = next((c for c in solution.candidates if c.chosen), None)
    program = f"<pre>{''.join(_functions(chosen))}</pre>" if chosen else ""
    return (
        f"<p>{escape(solution.summary)}</p>{program}"
        f"<details><summary>{len(solution.candidates)} candidates</summary>"
        f"<pre>{escape(solution.table())}</pre></details>"
    )


def _functions(candidate: Judged) -> Iterator[str]:
    ends, _ = find_steps(candidate.code)
    if len(ends) != len(candidate.functions):  # neighbours were merged
        yield escape(candidate.code)
        return
    texts = step_texts(candidate.code, ends)
    for text, (name, score) in zip(texts, candidate.functions, strict=True):
        if score is None:
            yield escape(text)
            continue
        colour = f"rgba({_GOOD if score >= 0.5 else _BAD}, {abs(score - 0.5):.2f})"
        title = escape(f"{name or '(no function)'}: {score:.2f}")
        yield f'<span style="background: {colour}" title="{title}">{escape(text)}</span>'
