"""Reward models that standard classes open: classifiers of whole programs, or of their steps.

`AutoModelForSequenceClassification` (Skywork-Reward, Themis-RM, CodeScaler, ...), causal models
with TRL's value head (AceCodeRM), and `AutoModelForTokenClassification`.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import torch

from funprm import language_models as models
from funprm.errors import ConfigError
from funprm.records import Json, LabelledProgram
from funprm.scorers.chats import FENCED, QUESTION, ProgramChat, render
from funprm.scorers.numbers import Activation, check_activation, score_of

WINDOW = 256
"""Programs that are sorted by length together; scores come in order, a window at a time."""
_CPU_TOKENS, _GPU_TOKENS = 2048, 16_384

_Encoded = tuple[tuple[int, ...], tuple[int, ...]]
"""Tokens, and the places of those whose logits are scores; no place: the last token."""


@dataclass(eq=False)
class _Classifier:
    """What both kinds have in common: the model, and how its logits become scores."""

    transport: ClassVar[frozenset[str]] = frozenset({"device", "batch_tokens"})
    per_token: ClassVar[bool]

    model: str
    """A folder, or a hub name."""
    revision: str = ""
    """Branch, tag or commit of a hub model."""
    system: str = ""
    """A system turn, where the model wants one (a criterion, for instance)."""
    question: str = QUESTION
    """The user's turn; `{{statement}}` is the problem."""
    answer: str = FENCED
    """The assistant's turn; `{{code}}` is the program."""
    label: str | int = ""
    """Name or number of the label whose probability is the score; empty: the only one."""
    activation: Activation = "auto"
    """`sigmoid` of the label's logit, `softmax` over all labels, or `none`; `auto`: softmax where
    labels exclude each other, else sigmoid, which keeps the order of any reward."""
    scale: float = 1.0
    """Logits are divided by it. Rewards above 30 want a greater one: their sigmoids are all 1."""
    max_tokens: int = 0
    """Longer programs get no score; 0: as many as the model's positions."""
    device: str = "auto"
    dtype: str = "auto"
    """fp32, bf16, fp16; `auto`: bf16 where the model was saved so and the device multiplies it."""
    batch_tokens: int = 0
    """Bound on a batch's tokens, padding included; 0: what suits the device."""

    def __post_init__(self) -> None:
        check_activation(self.activation, self.scale)
        if self.max_tokens < 0 or self.batch_tokens < 0:
            raise ConfigError("max_tokens and batch_tokens: expected 0 or more")
        self._chat = ProgramChat(question=self.question, answer=self.answer, system=self.system)

    def identity(self) -> Mapping[str, Json]:
        """Fingerprint of the model's files, texts around a program, and what of it is the score."""
        return {
            "scorer": "token_classifier" if self.per_token else "sequence_classifier",
            "model": models.fingerprint(self._folder),
            "dtype": models.dtype_name(self._folder, self.device, self.dtype),
            **self._chat.identity(),
            "read": [self.label, self.activation, self.scale, self.max_tokens],
        }

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        """Scores in [0, 1] per program, in order; empty where it does not fit.

        Raises:
            ModelError: the model or its chat template cannot be used.
        """
        saturated = 0
        for start in range(0, len(programs), WINDOW):
            encoded = [self._encode(program) for program in programs[start : start + WINDOW]]
            found = self._scores({item for item in encoded if item})
            for item in encoded:
                scores = found[item] if item else ()
                saturated += 1.0 in scores
                yield scores
        if saturated and self.activation != "none":
            warnings.warn(
                f"{self.model}: {saturated} programs have a score of exactly 1, so that they "
                f"cannot be told apart: set a scale above {self.scale:g}",
                stacklevel=2,
            )

    @cached_property
    def _folder(self) -> Path:
        return models.find_folder(self.model, self.revision)

    @cached_property
    def _network(self) -> Any:  # noqa: ANN401  (the library's models are untyped)
        return models.load_classifier(
            self._folder, self.device, self.dtype, per_token=self.per_token
        )

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401
        return models.load_tokenizer(self._folder)

    @cached_property
    def _room(self) -> int:
        settings = self._network.config.get_text_config()
        return self.max_tokens or getattr(settings, "max_position_embeddings", 0) or 1 << 30

    @cached_property
    def _label(self) -> int:
        """The place of the label.

        Raises:
            ConfigError: there is none of that name, or several and none is named.
        """
        names = {int(place): str(name) for place, name in self._network.config.id2label.items()}
        places = {**{str(p): p for p in names}, **{name: p for p, name in names.items()}}
        if self.label == "" and len(names) == 1:
            return 0
        if str(self.label) not in places:
            raise ConfigError(
                f"{self.model}: label = {self.label!r}: expected one of {', '.join(places)}"
            )
        return places[str(self.label)]

    @cached_property
    def _activation(self) -> Activation:
        if self.activation != "auto":
            return self.activation
        settings = self._network.config
        exclusive = settings.num_labels > 1 and settings.problem_type in (
            None, "single_label_classification",
        )  # fmt: skip
        return "softmax" if exclusive else "sigmoid"

    def _encode(self, program: LabelledProgram) -> _Encoded | None:
        """What the model reads; None: it does not fit."""
        raise NotImplementedError

    def _tokens(self, program: LabelledProgram, step_end: str = "") -> tuple[int, ...] | None:
        """A program's tokens; None where there are too many, or where it spells control tokens.

        A program that ends its own turn could praise itself in the next one.
        """
        code = "".join(program.steps)
        if any(token in code for token in self._control):
            return None
        text = render(self._tokenizer, self._chat.of(program, step_end))
        tokens = tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return tokens if len(tokens) <= self._room else None

    @cached_property
    def _control(self) -> list[str]:
        added = self._tokenizer.added_tokens_decoder.values()
        return [token.content for token in added if token.special]

    def _scores(self, encoded: set[_Encoded]) -> dict[_Encoded, tuple[float, ...]]:
        """Scores of distinct programs, which are batched by length."""
        found: dict[_Encoded, tuple[float, ...]] = {}
        rows = sorted(encoded, key=lambda item: (len(item[0]), item))
        with torch.inference_mode(), models.fitting_threads(self._network):
            for start, end in pairwise(self._bounds(rows)):
                found |= self._batch(rows[start:end])
        return found

    def _bounds(self, rows: Sequence[_Encoded]) -> list[int]:
        """Where batches begin and end."""
        on_cpu = self._network.device.type == "cpu"
        most = self.batch_tokens or (_CPU_TOKENS if on_cpu else _GPU_TOKENS)
        bounds = [0]
        for place, (tokens, _) in enumerate(rows):
            alone = self._padding is None and place > bounds[-1]
            if alone or (place - bounds[-1] + 1) * len(tokens) > most and place > bounds[-1]:
                bounds.append(place)
        return [*bounds, len(rows)] if rows else [0]

    @cached_property
    def _padding(self) -> int | None:
        """The token that the model itself knows as padding; None: it takes one text at a time."""
        found = self._network.config.get_text_config().pad_token_id
        return None if found is None else int(found)

    def _batch(self, rows: Sequence[_Encoded]) -> dict[_Encoded, tuple[float, ...]]:
        width = max(len(tokens) for tokens, _ in rows)
        ids = torch.full((len(rows), width), self._padding or 0)
        mask = torch.zeros_like(ids)
        for row, (tokens, _) in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        device = self._network.device
        logits = self._network(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
        values = logits.double().cpu()
        return {
            item: tuple(self._number(row) for row in self._read(item, value))
            for item, value in zip(rows, values, strict=True)
        }

    def _read(self, item: _Encoded, logits: torch.Tensor) -> list[list[float]]:
        """The logits that count: of the text, of the last token, or at the places."""
        if logits.ndim == 1:
            return [logits.tolist()]
        tokens, places = item
        rows: list[list[float]] = logits[list(places or (len(tokens) - 1,))].tolist()
        return rows

    def _number(self, logits: Sequence[float]) -> float:
        return score_of(logits, self._label, self._activation, self.scale)


class SequenceClassifier(_Classifier):
    """One score per program, by a classifier of texts or a causal model with a value head."""

    per_token = False

    def _encode(self, program: LabelledProgram) -> _Encoded | None:
        tokens = self._tokens(program)
        return None if tokens is None else (tokens, ())


@dataclass(eq=False)
class TokenClassifier(_Classifier):
    """One score per step, by a classifier of tokens that is read where a step ends."""

    per_token: ClassVar[bool] = True

    answer: str = "{{code}}"
    step_end: str = ""
    """The token after each step whose label is the step's score; needed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.step_end:
            raise ConfigError("step_end is empty: expected the token that ends a step")

    def identity(self) -> Mapping[str, Json]:
        """As of all classifiers, with the token that ends steps."""
        return {**super().identity(), "step_end": self.step_end}

    def _encode(self, program: LabelledProgram) -> _Encoded | None:
        marker = self._tokenizer.get_vocab().get(self.step_end)
        if marker is None:
            raise ConfigError(
                f"{self.model}: step_end = {self.step_end!r} is not one token of its tokenizer"
            )
        tokens = self._tokens(program, self.step_end)
        if tokens is None:
            return None
        places = tuple(place for place, token in enumerate(tokens) if token == marker)
        # A program or statement that spells the token cannot be read: it gets no score.
        return (tokens, places) if len(places) == len(program.steps) else None
