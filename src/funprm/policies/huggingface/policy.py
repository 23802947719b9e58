"""A policy that samples a causal language model in this process, with the transformers library."""

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, ClassVar, Literal

from funprm import language_models as models
from funprm import prompts
from funprm.errors import ConfigError
from funprm.interfaces import Request, Sample
from funprm.policies.huggingface import room
from funprm.policies.huggingface.packed import pack
from funprm.policies.huggingface.rows import Continuation, Row, Rule
from funprm.policies.huggingface.sampler import Sampler
from funprm.prompts import extract_code
from funprm.records import Json
from funprm.steps import opening_lines

_RAW = "none"
_FENCE = re.compile(r"^```", re.MULTILINE)
_TAIL = 4
"""Tokens before an answer that are decoded with it: some tokenizers join words across tokens."""
_AHEAD = 1024
"""Requests that are sorted by length together."""


@dataclass(eq=False)
class HuggingFacePolicy:
    """Writes programs with a local causal language model; implements `interfaces.Policy`.

    A program is drawn from a stream of random numbers named by its request's seed: the other
    requests of a call do not change it, but for the last bits of matrix products of other sizes.
    In fp32 these hardly ever decide a token, in bf16 they sometimes do. `Sample.logprob` and
    `Sample.self_certainty` are those of the model itself (temperature 1, all tokens), so that
    programs of different settings compare; both include the token that ended the answer.

    Raises:
        ConfigError: a setting is out of range.
        ModelError: the model cannot be found or lacks a file.
    """

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = False
    streams: ClassVar[bool] = True
    transport: ClassVar[frozenset[str]] = frozenset({"batch", "device"})

    model: str = models.TINY
    """`tiny` (the shipped model), a folder with safetensors, or a hub name."""
    _: KW_ONLY
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token."""
    top_p: float = 1.0
    """Draws from the likeliest tokens that together have this probability, in (0, 1]."""
    max_tokens: int = 512
    """Most tokens of an answer."""
    prompt: str = ""
    """One of `prompts.STYLES`; empty: `statement` for `tiny`, else `refactored`."""
    batch: int = 0
    """Programs that are drawn together: one that ends makes room for the next; 0: as many as suit
    the processor and its memory."""
    device: str = "auto"
    """`auto` (a GPU if there is one), or a name that torch knows."""
    dtype: str = "auto"
    """`fp32`, `bf16`, `fp16`, or `auto`: bf16 for a model that was saved in 16 bits, where the
    processor multiplies such numbers itself; else fp32."""
    revision: str = ""
    """Branch, tag or commit of a hub model; empty: its main branch."""
    template: str = ""
    """File with a Jinja chat template to use instead of the tokenizer's; `none`: plain text."""

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, "at least 0", self.temperature >= 0)
        _check("top_p", self.top_p, "above 0 and at most 1", 0 < self.top_p <= 1)
        _check("max_tokens", self.max_tokens, "at least 1", self.max_tokens >= 1)
        _check("batch", self.batch, "at least 0", self.batch >= 0)
        default = "statement" if self.model == models.TINY else "refactored"
        self.prompt = self.prompt or default
        self._prompt_identity = prompts.prompt_identity(self.prompt)
        self._template = _read_template(self.template)
        self._folder = models.find_folder(self.model, self.revision)
        self.on_tokens: Callable[[int, int], None] | None = None

    def identity(self) -> Mapping[str, Json]:
        """The model and a fingerprint of its files, prompts, and how tokens are drawn."""
        return {
            "policy": "huggingface",
            "model": models.label(self.model, self._folder),
            "weights": self._fingerprint,
            "prompt": self._prompt_identity,
            "template": self._template,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "dtype": models.dtype_name(self._folder, self.device, self.dtype),
        }

    @property
    def chats(self) -> int:
        """How many chats the prompt has for one program."""
        return prompts.chats_of(self.prompt)

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        """One answer per request, as they end.

        A request whose prompt leaves no room in the model's context is answered by its prefix
        alone. `on_tokens`, where it is set, is told after each step how many tokens were drawn,
        and how many the unfinished answers hold.

        Raises:
            ModelError: the model or its tokenizer cannot be loaded.
            PolicyError: the memory does not hold a single row.
        """
        windows = self._windows(requests)
        first = next(windows, [])
        drawn: dict[int, _Question] = {}
        full: list[_Question] = []
        rows = _rows(chain([first], windows), drawn, full)
        slots = self.batch or self._suitable_rows(first)
        for number, continuation in self._sampler.stream(rows, slots, self.on_tokens):
            yield self._answer(drawn.pop(number), continuation)
        for question in full:
            yield self._answer(question, None)

    def _windows(self, requests: Sequence[Request]) -> "Iterator[list[_Question]]":
        """Questions by and by; those that come together begin with the longest."""
        for start in range(0, len(requests), _AHEAD):
            questions = self._questions(requests[start : start + _AHEAD])
            yield sorted(questions, key=lambda question: -len(question.row.prompt))

    def _suitable_rows(self, questions: "Sequence[_Question]") -> int:
        longest = max((len(question.row.prompt) for question in questions), default=1)
        return room.suitable_rows(self._loaded, min(longest + self.max_tokens, self._context))

    def _questions(self, requests: Sequence[Request]) -> "Iterator[_Question]":
        """Requests as tokens; equal prompts are encoded once."""
        encoded: dict[tuple[tuple[prompts.Turn, ...], str], tuple[int, ...]] = {}
        for request in requests:
            begin = prompts.answer_prefix(self.prompt, request.prefix, request.blank_lines)
            chat = prompts.build_chat(request.problem, self.prompt, request.drafts)
            if (chat, begin) not in encoded:
                encoded[chat, begin] = self._encode(chat, begin)
            row = self._row(request, begin, encoded[chat, begin])
            yield _Question(request=request, begin=begin, row=row)

    def _row(self, request: Request, begin: str, tokens: tuple[int, ...]) -> Row:
        seed, drawn = request.continues or (request.seed, 0)
        asks = self._fences if begin != request.prefix else frozenset()
        asks |= self._line_ends if request.steps else frozenset()
        return Row(
            prompt=tokens,
            limit=min(self.max_tokens - drawn, self._context - len(tokens)),
            stream=_stream(seed),
            first=drawn,
            ends=self._ends(request, begin, tokens) if asks else None,
            asks=asks,
        )

    def _ends(
        self, request: Request, begin: str, prompt: tuple[int, ...]
    ) -> Callable[[tuple[int, ...]], bool]:
        """Whether drawn tokens close the block that an answer began with, or make steps whole."""

        def ends(tokens: tuple[int, ...]) -> bool:
            text = begin + self._decode(prompt, tokens)
            if begin != request.prefix and _closing_fence(text, len(begin)) is not None:
                return True
            # Before the block begins there is prose, whatever it looks like.
            begun = not self._fenced or "```" in text
            return begun and _whole(_program(text, begin, request.prefix), request.steps)

        return ends

    def _encode(self, chat: Sequence[prompts.Turn], begin: str) -> tuple[int, ...]:
        """Token ids of the prompt with the answer's beginning."""
        if self._chat_template is None:
            text, special = f"{prompts.as_text(chat)}\n{begin}", True
        else:
            # The template writes special tokens itself.
            text, special = self._render(chat) + begin, False
        return tuple(self._tokenizer(text, add_special_tokens=special)["input_ids"])

    def _render(self, chat: Sequence[prompts.Turn]) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            [turn._asdict() for turn in chat],
            chat_template=self._chat_template,
            add_generation_prompt=True,
            tokenize=False,
        )
        return rendered

    def _answer(self, question: "_Question", drawn: Continuation | None) -> Sample:
        request = question.request
        written = self._decode(question.row.prompt, drawn.tokens) if drawn else ""
        text = question.begin + written
        code = _program(text, question.begin, request.prefix)
        return Sample(
            key=request.key,
            code=code,
            text="" if text == code else text,
            finish=_finish(code, drawn, request.steps),
            kept=code.startswith(request.prefix),
            prompt_tokens=len(question.row.prompt),
            completion_tokens=len(drawn.tokens) if drawn else 0,
            logprob=drawn.logprob if drawn else None,
            logprob_tokens=len(drawn.tokens) if drawn else 0,
            self_certainty=drawn.self_certainty if drawn else None,
            seconds=drawn.seconds if drawn else 0.0,
        )

    def _decode(self, prompt: tuple[int, ...], tokens: tuple[int, ...]) -> str:
        tail = prompt[-_TAIL:]
        before, both = (self._text(tail), self._text(tail + tokens))
        return both.removeprefix(before) if both.startswith(before) else self._text(tokens)

    def _text(self, tokens: tuple[int, ...]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    @functools.cached_property
    def _fingerprint(self) -> str:
        return models.fingerprint(self._folder)

    @functools.cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401 - the library's tokenizers are untyped
        return models.load_tokenizer(self._folder)

    @functools.cached_property
    def _chat_template(self) -> str | None:
        if self._template == _RAW:
            return None
        return self._template or self._tokenizer.chat_template

    @functools.cached_property
    def _loaded(self) -> Any:  # noqa: ANN401 - the library's models are untyped
        model = models.load_model(self._folder, self.device, self.dtype)
        if model.device.type == "cpu" and not models.is_small(model):
            pack(model)
        return model

    @functools.cached_property
    def _context(self) -> int:
        """Most tokens of prompt and answer together."""
        return int(getattr(self._loaded.config, "max_position_embeddings", 0) or 2**31)

    @functools.cached_property
    def _sampler(self) -> Sampler:
        stop = models.stop_tokens(self._folder, self._tokenizer)
        rule = Rule(temperature=self.temperature, top_p=self.top_p, stop=stop)
        return Sampler(self._loaded, rule)

    @functools.cached_property
    def _fenced(self) -> bool:
        """Whether answers hold their program in a code block."""
        return prompts.answer_prefix(self.prompt, "x") != "x"

    @functools.cached_property
    def _fences(self) -> frozenset[int]:
        return models.tokens_with("`", self._tokenizer)

    @functools.cached_property
    def _line_ends(self) -> frozenset[int]:
        ids = self._tokenizer.get_vocab().values()
        return frozenset(i for i in ids if "\n" in self._text((i,)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Question:
    request: Request
    begin: str
    """Text that the answer was made to begin with."""
    row: Row


def _stream(seed: int) -> int:
    """64 bits that name the random numbers of a seed; neighbouring seeds are far apart."""
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest())


def _rows(
    windows: Iterable[Sequence[_Question]], drawn: dict[int, _Question], full: list[_Question]
) -> Iterator[Row]:
    """The questions' rows, numbered in `drawn`; those without room for an answer go to `full`."""
    number = count()
    for question in chain.from_iterable(windows):
        if question.row.limit < 1:
            full.append(question)
        else:
            drawn[next(number)] = question
            yield question.row


def _program(text: str, begin: str, prefix: str) -> str:
    """The program in an answer; for a continuation, what stands in the block that was begun."""
    if prefix and begin != prefix:
        text = text[: _closing_fence(text, len(begin))]
    return extract_code(text)


def _closing_fence(text: str, start: int) -> int | None:
    r"""Where the first fence at the beginning of a line at or after `start` ends, if there is one.

    >>> _closing_fence("a = 1\n```\nThat is it.", 0)
    9
    """
    found = _FENCE.search(text, start)
    return found.end() if found else None


def _whole(code: str, steps: int) -> bool:
    """Whether a program has so many whole steps and a line that opens another."""
    opened = opening_lines(code)[steps:] if steps else ()
    return bool(opened) and code[: opened[0]].endswith("\n")


def _finish(
    code: str, drawn: Continuation | None, steps: int
) -> Literal["stop", "step", "length", "empty"]:
    if not code.strip():
        return "empty"
    if _whole(code, steps):
        return "step"
    return "stop" if drawn and drawn.stopped else "length"


def _check(name: str, value: float, expected: str, valid: bool) -> None:
    if not valid:
        raise ConfigError(f"{name} = {value} is out of range: expected {expected}")


def _read_template(template: str) -> str:
    if template in ("", _RAW):
        return template
    try:
        return Path(template).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"template {template!r} cannot be read ({error}); expected a file with a Jinja chat "
            "template, or 'none'"
        ) from error
