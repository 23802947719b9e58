"""A language model in this process as a judge: no server, no generation, one pass per question."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from funprm import language_models as models
from funprm.errors import ConfigError
from funprm.interfaces import PaidScores
from funprm.records import Json, LabelledProgram
from funprm.scorers.chats import render
from funprm.scorers.grades import CORRECTNESS, DIGITS, GradePrompt, mean_of, read_prompt


@dataclass(eq=False, kw_only=True)
class LocalJudge:
    """Grades each program by itself: the mean grade under the next token's probabilities."""

    transport: ClassVar[frozenset[str]] = frozenset({"device", "prompt_file"})

    model: str
    """A folder, or a hub name."""
    revision: str = ""
    prompt_file: str = ""
    """A prompt of one's own, with `{{statement}}` and `{{code}}`."""
    grades: str = DIGITS
    """One character per grade, worst first."""
    criteria: tuple[str, ...] = (CORRECTNESS,)
    """What is judged, each in a pass of its own; the score is the mean."""
    max_tokens: int = 0
    """Longer questions get no score; 0: as many as the model's positions."""
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if not self.criteria or self.max_tokens < 0:
            raise ConfigError("criteria: expected one or more; max_tokens: 0 or more")
        self._prompt = GradePrompt(text=read_prompt(self.prompt_file), grades=self.grades)

    def identity(self) -> Mapping[str, Json]:
        """Fingerprint of the model's files, the question, and how it is asked."""
        return {
            "scorer": "local_judge",
            "model": models.fingerprint(self._folder),
            "dtype": models.dtype_name(self._folder, self.device, self.dtype),
            "prompt": self._prompt.text,
            "grades": self.grades,
            "criteria": list(self.criteria),
            "max_tokens": self.max_tokens,
        }

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        """One score per program, in order; empty where it does not fit, or is not graded.

        Raises:
            ModelError: the model or its chat template cannot be used.
        """
        for program in programs:
            questions = [self._tokens(program, criterion) for criterion in self.criteria]
            fitting = [tokens for tokens in questions if tokens is not None]
            found = mean_of([self._grade(tokens) for tokens in fitting])
            tokens = sum(map(len, fitting))
            complete = found is not None and len(fitting) == len(questions)
            yield PaidScores([found] if complete and found is not None else [], tokens=tokens)

    @cached_property
    def _folder(self) -> Path:
        return models.find_folder(self.model, self.revision)

    @cached_property
    def _network(self) -> Any:  # noqa: ANN401  (the library's models are untyped)
        return models.load_model(self._folder, self.device, self.dtype)

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401
        return models.load_tokenizer(self._folder)

    @cached_property
    def _grades(self) -> dict[int, str]:
        """The tokens that spell a grade, by id."""
        ids = self._tokenizer.get_vocab().values()
        texts = {place: self._tokenizer.decode([place]) for place in ids}
        found = {p: text for p, text in texts.items() if self._prompt.grade_of(text) is not None}
        missing = set(self.grades) - {text.strip() for text in found.values()}
        if missing:
            raise ConfigError(
                f"{self.model}: the grade {min(missing)!r} is not one token of its tokenizer: "
                "set grades to others"
            )
        return found

    def _tokens(self, program: LabelledProgram, criterion: str) -> list[int] | None:
        chat = self._prompt.asking(program, criterion)
        text = render(self._tokenizer, chat, answered=False)
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        settings = self._network.config.get_text_config()
        most = self.max_tokens or getattr(settings, "max_position_embeddings", 0) or 1 << 30
        return tokens if len(tokens) <= most else None

    def _grade(self, tokens: Sequence[int]) -> float | None:
        ids = torch.tensor([tokens], device=self._network.device)
        with torch.inference_mode(), models.fitting_threads(self._network):
            logits = self._network(input_ids=ids, logits_to_keep=1).logits[0, -1]
        chances = logits.double().softmax(-1)[list(self._grades)].tolist()
        return self._prompt.expected(zip(self._grades.values(), chances, strict=True))
