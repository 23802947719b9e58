"""The reward model's input for clients that ask a server themselves, in whatever language."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from funprm.commands.trained_model import cut_for, model_folder
from funprm.errors import InputError, missing_package
from funprm.records import Json, LabelledProgram
from funprm.steps import step_texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A statement and a program as a reward model reads them."""

    text: str
    """For servers that tokenise themselves; their tokens may differ where two segments meet."""
    tokens: tuple[int, ...]
    """What the model was trained on; empty: the program does not fit."""
    markers: tuple[int, ...]
    """Position of each function's marker in `tokens`: there its score is read."""
    functions: tuple[str, ...]
    """Name of each function; empty text: a program without one."""
    shortened: bool
    """The statement's middle is left out of the tokens."""


class InputRenderer:
    """Writes a model's input; its weights are not opened.

    Args:
        name: a folder as training writes it, or a hub name.

    Raises:
        ModelError: there is no such model.
        MissingPackageError: transformers is not installed.
    """

    def __init__(self, name: str) -> None:
        try:
            from funprm.prm.models.opening import open_renderer
        except ModuleNotFoundError as error:
            raise missing_package("a reward model's tokenizer", error) from error
        self._renderer, self._reading, self._max_tokens = open_renderer(model_folder(name))

    def render(self, statement: str, program: str) -> Rendered:
        """The input for one program."""
        ends, names = cut_for(self._reading, program)
        steps = step_texts(program, ends)
        cut = LabelledProgram(
            generation="", problem_id="", statement=statement, steps=steps, prefixes=()
        )
        encoded = self._renderer.encode(cut, self._max_tokens)
        return Rendered(
            text=self._renderer.text(cut),
            tokens=encoded.tokens if encoded else (),
            markers=encoded.markers if encoded else (),
            functions=names,
            shortened=encoded is not None and encoded.shortened,
        )

    def render_lines(self, lines: Iterable[bytes]) -> Iterator[Rendered]:
        """The inputs for JSON objects `{"statement": ..., "program": ...}`, one per line.

        Raises:
            InputError: a line is none.
        """
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield self.render(*_pair(line, number))


def _pair(line: bytes, number: int) -> tuple[str, str]:
    try:
        found: Json = json.loads(line)
        statement, program = found["statement"], found["program"]
        f"{statement}{program}".encode()  # no halves of characters
        fit = isinstance(statement, str) and isinstance(program, str)
    except (ValueError, KeyError, TypeError):
        fit = False
    if not fit:
        shown = line.decode(errors="replace").strip()[:60]
        raise InputError(
            f"line {number}: expected a JSON object with the texts `statement` and `program`, got "
            f"{shown!r}"
        )
    return statement, program
