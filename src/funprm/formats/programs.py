"""Programs on their way in and out."""

from collections.abc import Mapping
from dataclasses import dataclass

from funprm.errors import RecordError
from funprm.records import Generation, Json, Status

ID_FIELDS = ("problem_id", "task_id", "question_id")
"""What the id of a program's problem is called: by us, by EvalPlus and BigCodeBench, and by
LiveCodeBench."""


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
    key: str = ""
    """What the file calls the program; empty: it gives it no name."""
    text: str = ""
    """The raw answer where it differs."""
    status: Status | None = None
    """The other tool's verdict; None: it gives none."""
    needs_prompt: bool = False
    """True: `code` is only what follows the problem's code."""


def problem_id_of(row: Mapping[str, Json], where: str) -> str:
    """The id of the problem that a row is about.

    >>> problem_id_of({"task_id": 7}, "here")
    '7'

    Raises:
        RecordError: the row has none, or two that differ; the message begins with `where`.
    """
    names = [name for name in ID_FIELDS if row.get(name) is not None]
    found = {name: row[name] for name in names}
    if not found:
        raise RecordError(
            f"{where}: none of the fields {', '.join(ID_FIELDS)}; the row has "
            f"{', '.join(row)[:200] or 'no fields'}"
        )
    for name, value in found.items():
        if not isinstance(value, str | int) or value == "":
            raise RecordError(f"{where}: {name} is {value!r:.80}, expected a text or a number")
    if len({str(value) for value in found.values()}) > 1:
        raise RecordError(f"{where}: {' and '.join(names)} differ: expected the id of one problem")
    return str(found[names[0]])
