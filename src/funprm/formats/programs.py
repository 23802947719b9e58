"""Programs on their way in and out."""

from dataclasses import dataclass

from funprm.records import Generation, Status


@dataclass(frozen=True, kw_only=True, slots=True)
class Graded:
    """A program of ours with what the hidden tests say of it."""

    generation: Generation
    status: Status = Status.NOT_JUDGED


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A program read from a file of another tool."""

    problem_id: str
    code: str
    text: str = ""
    """The raw answer where it differs."""
    status: Status | None = None
    """The other tool's verdict; None: it gives none."""
    needs_prompt: bool = False
    """True: `code` is only what follows the problem's code."""
