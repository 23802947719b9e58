"""Programs as token sequences: the one rendering that training and scoring share.

The input is `problem segment | step 1 | marker | step 2 | marker | ...`. Every segment is
tokenised on its own, so that no token spans a cut, and nothing follows the last marker: attention
is causal, hence the score read at marker j is the score of prefix j.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from funprm.errors import ConfigError, DataError
from funprm.records import Json, LabelledProgram

Tokenizer = Any
"""A tokenizer of the transformers library, whose classes have no common static type."""

RENDERING = 1
"""Version of the rendering; raised when the same program would give other tokens."""

OWN_MARKER = "<|step|>"
OWN_FRAME = ("<|problem|>", "<|solution|>")
TEXT_FRAME = ("Problem:\n", "\n\nSolution:\n")

MARKERS = (
    OWN_MARKER,
    "<|fim_pad|>",
    "<fim_pad>",
    "<|reserved_special_token_0|>",
    "<|reserved_0|>",
    "<|placeholder1|>",
    "<unused0>",
    "<reserved_0>",
    "[control_8]",
)
"""Tokens that tokenizers reserve and programs do not contain, in order of preference
(this package's tiny model, Qwen2.5-Coder and Qwen3, StarCoder2, Llama 3, ...)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A rendered program."""

    tokens: tuple[int, ...]
    markers: tuple[int, ...]
    """Position of each step's marker, ascending; the last is `len(tokens) - 1`."""
    shortened: bool = False
    """The statement's middle was left out to make room."""
    start: int = 0
    """Position of the first step's first token."""


class Renderer:
    """Turns programs into model input.

    Args:
        tokenizer: a tokenizer of the transformers library.
        marker: the token that ends a step; empty: the first of `MARKERS` that it knows.

    Raises:
        ConfigError: the marker is not one token of the vocabulary, or none is known.
    """

    def __init__(self, tokenizer: Tokenizer, marker: str = "") -> None:
        self._tokenizer = tokenizer
        vocabulary: Mapping[str, int] = tokenizer.get_vocab()
        self.marker = marker or next((m for m in MARKERS if m in vocabulary), "")
        if self.marker not in vocabulary:
            raise ConfigError(_no_marker(self.marker))
        self.marker_id = vocabulary[self.marker]
        self._reserved = {self.marker: self.marker_id}
        if all(token in vocabulary for token in OWN_FRAME):
            self._reserved |= {token: vocabulary[token] for token in OWN_FRAME}
            self._frame = OWN_FRAME
            self._head, self._tail = ([vocabulary[token]] for token in OWN_FRAME)
        else:
            self._frame = TEXT_FRAME
            self._head, self._tail = (self._tokenise([text])[0] for text in TEXT_FRAME)
        self._head = _opening(tokenizer) + self._head
        self.pad_id = _padding(tokenizer, self.marker_id)

    def settings(self) -> Mapping[str, Json]:
        """What determines the rendering, beside the tokenizer."""
        return {"rendering": RENDERING, "marker": self.marker}

    def encode(self, program: LabelledProgram, max_tokens: int) -> Encoded | None:
        """The program's tokens; None if its code does not fit in `max_tokens`.

        A statement that is too long loses its middle; code is never cut.

        Raises:
            DataError: the program has no steps.
        """
        return self.encode_all([program], max_tokens)[0]

    def encode_all(
        self, programs: Sequence[LabelledProgram], max_tokens: int
    ) -> list[Encoded | None]:
        """As `encode`, for many programs: every distinct text is tokenised once."""
        texts = {program.statement: None for program in programs}
        texts |= {step: None for program in programs for step in program.steps}
        ids = dict(zip(texts, self._tokenise(list(texts)), strict=True))
        return [self._assemble(program, ids, max_tokens) for program in programs]

    def text(self, program: LabelledProgram) -> str:
        """The rendering as a text, for servers that tokenise themselves.

        Whole texts may be tokenised across the cuts between segments, and no statement is
        shortened: tokens of `encode` are exact. Literal reserved tokens in it are broken.
        """
        segments = [program.statement, *program.steps]
        statement, *steps = (self._literal.sub(_broken, segment) for segment in segments)
        head, tail = self._frame
        opening = self._tokenizer.bos_token if _opening(self._tokenizer) else ""
        return f"{opening}{head}{statement}{tail}" + "".join(s + self.marker for s in steps)

    def chat_template(self) -> str:
        """A template of the transformers library for (statement: user, program: assistant)."""
        head, tail = map(json.dumps, self._frame)
        opening = "bos_token ~ " if _opening(self._tokenizer) else ""
        names = {
            "marker": json.dumps(self.marker),
            "head": opening + head,
            "tail": tail,
            "reserved": json.dumps(list(self._reserved)),
        }
        lines = [f"{{%- set {name} = {value} -%}}\n" for name, value in names.items()]
        body = resources.files("funprm.prm").joinpath("chat_template.jinja")
        return "".join(lines) + body.read_text(encoding="utf-8")

    def encode_text(self, text: str) -> Encoded:
        """The tokens of a text that was rendered elsewhere: its markers are markers.

        Raises:
            DataError: there is no marker in it.
        """
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        opening = _opening(self._tokenizer)
        if ids[: len(opening)] != opening:
            ids = opening + ids
        markers = tuple(place for place, token in enumerate(ids) if token == self.marker_id)
        if not markers:
            raise DataError(
                f"a text without the marker {self.marker!r}, which ends a step: expected a "
                "rendered program"
            )
        return Encoded(tokens=tuple(ids), markers=markers)

    def _assemble(
        self, program: LabelledProgram, ids: Mapping[str, list[int]], max_tokens: int
    ) -> Encoded | None:
        if not program.steps:
            raise DataError(
                f"generation {program.generation} has no steps: expected at least one; segment it"
            )
        code: list[int] = []
        ends: list[int] = []
        for step in program.steps:
            code += [*ids[step], self.marker_id]
            ends.append(len(code) - 1)
        room = max_tokens - len(self._head) - len(self._tail) - len(code)
        if room < 0:
            return None
        statement = ids[program.statement]
        kept = _without_middle(statement, room)
        segment = [*self._head, *kept, *self._tail]
        markers = tuple(len(segment) + end for end in ends)
        return Encoded(
            tokens=tuple(segment + code),
            markers=markers,
            shortened=len(kept) < len(statement),
            start=len(segment),
        )

    @property
    def _literal(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._reserved)))

    def _tokenise(self, texts: list[str]) -> list[list[int]]:
        """Token ids of texts, none of which is a reserved token, whatever the texts contain."""
        if not texts:
            return []
        encoded: list[list[int]] = self._tokenizer(
            texts, add_special_tokens=False, split_special_tokens=True
        )["input_ids"]
        reserved = set(self._reserved.values())
        return [
            ids if reserved.isdisjoint(ids) else self._tokenise_apart(text)
            for text, ids in zip(texts, encoded, strict=True)
        ]

    def _tokenise_apart(self, text: str) -> list[int]:
        """Tokenises around cuts inside every literal reserved token (tokenizers that keep it)."""
        cuts = [0, *(found.start() + 1 for found in self._literal.finditer(text)), len(text)]
        pieces = [text[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
        encoded = self._tokenizer(pieces, add_special_tokens=False, split_special_tokens=True)
        ids = [token for piece in encoded["input_ids"] for token in piece]
        if not set(self._reserved.values()).isdisjoint(ids):
            raise ConfigError(
                f"the tokenizer turns ordinary text into the marker {self.marker!r}: "
                "expected a token that code cannot produce; set train.marker to another"
            )
        return ids


def _broken(literal: re.Match[str]) -> str:
    """A reserved token's text as one that is none, as the chat template breaks it."""
    return f"{literal[0][0]} {literal[0][1:]}"


def _no_marker(marker: str) -> str:
    if marker:
        return f"train.marker {marker!r} is not one token of this tokenizer: name one that it has"
    return (
        "this tokenizer has none of the known reserved tokens: "
        "set train.marker to a token that programs do not contain"
    )


def _opening(tokenizer: Tokenizer) -> list[int]:
    """The token that the tokenizer itself puts before any text, if there is one."""
    ids: list[int] = tokenizer("")["input_ids"]
    return ids[:1] if ids and ids[0] == tokenizer.bos_token_id else []


def _padding(tokenizer: Tokenizer, marker: int) -> int:
    """A token for padding; never the marker, since classes of the field skip padding."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id):
        if token is not None and token != marker:
            return int(token)
    raise ConfigError("the tokenizer has no padding token beside the marker: give it one")


def _without_middle(ids: list[int], room: int) -> list[int]:
    if len(ids) <= room:
        return ids
    tail = room // 2
    return ids[: room - tail] + ids[len(ids) - tail :]
