"""The batch in flight: which row is in which slot of the cache."""

import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from funprm.errors import ModelError
from funprm.policies.huggingface.cache import RowCache
from funprm.policies.huggingface.choice import Drawn, draw, uniforms
from funprm.policies.huggingface.rows import Continuation, Drawing, Row, Rule, Waiting

_KEPT_ROWS = 0.8
"""Slots are given up once fewer than this share is in use and no row waits."""
_REFILL = 16
"""Rows join when this part of the slots is free: one in so many."""
_PREFILL_TOKENS = 4096
"""Most tokens, padding included, that are encoded at once; one prompt alone may be longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prompt:
    """An encoded prompt: a row of a cache, and the logits of what follows, [vocabulary]."""

    cache: RowCache
    row: int
    logits: Tensor


class Flight:
    """The rows that are drawn together, and those that join them.

    Args:
        model: what is drawn from.
        rule: how.
        waiting: rows to let in.
        slots: how many are drawn together.
    """

    def __init__(self, model: PreTrainedModel, rule: Rule, waiting: Waiting, slots: int) -> None:
        self._model = model
        self._rule, self._device = rule, model.device
        self._waiting = waiting
        self._size = slots
        self._slots: list[Drawing | None] = []
        self._cache: RowCache | None = None
        self._prompts: dict[tuple[int, ...], _Prompt] = {}
        self._first = self._end = 0
        """The cache's columns, counted from the beginning: all rows end before `_end`."""
        self.drawn = 0
        """Tokens drawn in the last step."""

    def goes_on(self) -> bool:
        """Whether a row is being drawn or waits."""
        return any(self._slots) or bool(self._waiting.ahead(1))

    def rows(self) -> list[tuple[int, Row]]:
        """The rows being drawn, with their numbers."""
        return [(x.number, x.row) for x in self._slots if x is not None]

    def held(self) -> int:
        """Tokens of the rows being drawn."""
        return sum(len(x.tokens) for x in self._slots if x is not None)

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Continuation]]:
        """Lets rows in where there is room, or else draws a token of every row."""
        start = time.perf_counter()
        places = self._free()
        if places:
            places, logits = self._join(places)
        else:
            logits = self._decode()
            places = [i for i, x in enumerate(self._slots) if x is not None]
        drawings = [x for i in places if (x := self._slots[i]) is not None]
        self._take(drawings, logits if len(logits) == len(places) else logits[places])
        seconds = (time.perf_counter() - start) / len(drawings)
        for drawing in drawings:
            drawing.seconds += seconds
        return self._ended(places)

    # --- joining ---

    def _free(self) -> list[int]:
        """The slots to fill now."""
        if not any(self._slots):
            self._cache = None
            self._slots = [None] * len(self._waiting.ahead(self._size))
        free = [i for i, drawing in enumerate(self._slots) if drawing is None]
        full = self._cache is None or self._cache.full
        enough = max(1, len(self._slots) // _REFILL) if full else len(self._slots)
        ready = self._waiting.ahead(len(free)) if len(free) >= enough else []
        return free[: len(ready)]

    def _join(self, places: Sequence[int]) -> tuple[list[int], Tensor]:
        """Fills slots with rows that wait; returns which, and the logits of what follows.

        Fewer than there are places where the prompts are too long to be encoded at once.
        """
        self._encode([row.prompt for _, row in self._waiting.ahead(len(places))])
        filled: dict[int, _Prompt] = {}
        for place in places:
            following = self._waiting.ahead(1)
            if not following or following[0][1].prompt not in self._prompts:
                break
            number, row = self._waiting.take()
            filled[place] = self._prompts[row.prompt]
            self._slots[place] = Drawing(number=number, row=row, begin=0)
        self._copy(filled)
        following = self._waiting.ahead(1)
        # A cache that is not full has become the rows' own.
        full = self._cache is not None and self._cache.full
        wanted = following[0][1].prompt if following and full else ()
        self._prompts = {p: x for p, x in self._prompts.items() if p == wanted}
        return list(filled), torch.stack([prompt.logits for prompt in filled.values()])

    def _encode(self, prompts: Sequence[tuple[int, ...]]) -> None:
        """Encodes the first of the prompts that are not yet, as many as may be at once."""
        fresh: list[tuple[int, ...]] = []
        longest = 0
        for prompt in dict.fromkeys(prompts):
            if prompt in self._prompts:
                continue
            longest = max(longest, len(prompt))
            if fresh and self._may_split() and longest * (len(fresh) + 1) > _PREFILL_TOKENS:
                break
            fresh.append(prompt)
        if not fresh:
            return
        cache, logits = self._prefill(fresh)
        for i, prompt in enumerate(fresh):
            self._prompts[prompt] = _Prompt(cache=cache, row=i, logits=logits[i])

    def _may_split(self) -> bool:
        return self._cache is None or self._cache.full

    def _prefill(self, prompts: Sequence[tuple[int, ...]]) -> tuple[RowCache, Tensor]:
        """Encodes prompts, padded on the left; logits of what follows, [prompts, vocabulary]."""
        width = max(map(len, prompts))
        ids = np.zeros((len(prompts), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, prompt in enumerate(prompts):
            ids[i, width - len(prompt) :] = prompt
            mask[i, width - len(prompt) :] = 1
        seen = torch.from_numpy(mask).to(self._device)
        cache = RowCache(self._model.config)
        logits = self._forward(
            cache,
            input_ids=torch.from_numpy(ids).to(self._device),
            attention_mask=seen,
            position_ids=(seen.cumsum(-1) - 1).clamp(min=0),
        )
        if bool(logits.isnan().any()):
            raise ModelError(
                "the model's output is not a number: its weights are broken, or its numbers "
                "overflow (try dtype = 'fp32')"
            )
        return cache, logits

    def _copy(self, filled: dict[int, _Prompt]) -> None:
        """Copies prompts' keys and values to their rows' slots."""
        sources = {id(prompt.cache): prompt.cache for prompt in filled.values()}
        for source in sources.values():
            pairs = [(place, p.row) for place, p in filled.items() if p.cache is source]
            places, picked = torch.tensor(pairs, device=self._device).T
            if not source.full:  # Its rows all begin together, so this is the only source.
                source.keep(picked)
                self._cache, self._end = source, source.get_seq_length()
            else:
                self._put(places, source, picked)
        for place in filled:
            drawing = self._slots[place]
            assert drawing is not None
            drawing.begin = self._end - len(drawing.row.prompt)
        assert self._cache is not None
        self._first = self._end - self._cache.get_seq_length()

    def _put(self, places: Tensor, source: RowCache, picked: Tensor) -> None:
        if self._cache is None:
            self._cache = RowCache(self._model.config)
            self._cache.reserve(len(self._slots), source)
            self._end = source.get_seq_length()
        self._cache.put(places, source, picked)

    # --- drawing ---

    def _decode(self) -> Tensor:
        """Logits of what follows in every slot, [slots, vocabulary]."""
        self._compact()
        assert self._cache is not None
        drawings = self._slots
        last = [x.tokens[-1] if x else 0 for x in drawings]
        position = [len(x.row.prompt) + len(x.tokens) - 1 if x else 0 for x in drawings]
        mask = self._mask()
        logits = self._forward(
            self._cache,
            input_ids=torch.tensor(last, device=self._device)[:, None],
            attention_mask=mask,
            position_ids=torch.tensor(position, device=self._device)[:, None],
        )
        self._end += 1
        return logits

    def _compact(self) -> None:
        """Drops empty slots, once it pays, and columns that mean nothing to any row."""
        assert self._cache is not None
        used = [i for i, drawing in enumerate(self._slots) if drawing is not None]
        if len(used) <= _KEPT_ROWS * len(self._slots) and not self._waiting.ahead(1):
            self._cache.keep(torch.tensor(used, device=self._device))
            self._slots = [self._slots[i] for i in used]
        if self._cache.full:
            first = min(drawing.begin for drawing in self._slots if drawing is not None)
            self._cache.trim(first - self._first)
            self._first = first

    def _mask(self) -> Tensor | None:
        """The decoding mask. A prepared 4D one spares the library building it at every token."""
        assert self._cache is not None
        begin = [drawing.begin if drawing else self._end for drawing in self._slots]
        columns = torch.arange(self._first, self._end + 1, device=self._device)
        seen = columns >= torch.tensor(begin, device=self._device)[:, None]
        if not self._cache.full:
            return seen.long()
        if max(begin) == self._first:
            return None
        dtype = self._model.dtype
        blank = torch.zeros((len(seen), 1, 1, seen.shape[1]), dtype=dtype, device=self._device)
        return blank.masked_fill_(~seen[:, None, None], torch.finfo(dtype).min)

    def _forward(self, cache: RowCache, **inputs: Tensor | None) -> Tensor:
        """Logits of what follows, [rows, vocabulary]."""
        # The argument was renamed in the course of transformers 5.
        names = inspect.signature(self._model.forward).parameters
        name = "cache" if "cache" in names else "past_key_values"
        arguments: dict[str, Any] = {**inputs, name: cache}
        output = self._model(use_cache=True, logits_to_keep=1, **arguments)
        return output.logits[:, -1]  # type: ignore[no-any-return]

    def _take(self, drawings: Sequence[Drawing], logits: Tensor) -> None:
        """Draws a token of each row; logits [rows, vocabulary]."""
        streams = np.array([x.row.stream for x in drawings], dtype=np.uint64)
        steps = np.array([x.row.first + len(x.tokens) for x in drawings], dtype=np.uint64)
        uniform = torch.from_numpy(uniforms(streams, steps)).to(self._device)
        drawn = draw(logits, uniform, self._rule.temperature, self._rule.top_p)
        for drawing, token, logprob, certainty in zip(drawings, *_lists(drawn), strict=True):
            drawing.take(int(token), logprob, certainty)
        self.drawn = len(drawings)

    def _ended(self, places: Sequence[int]) -> list[tuple[int, Continuation]]:
        """Takes rows that ended out of their slots."""
        found = []
        for place in places:
            drawing = self._slots[place]
            if drawing is not None and (whole := drawing.ended(self._rule)):
                found.append((drawing.number, whole))
                self._slots[place] = None
        return found


def _lists(drawn: Drawn) -> list[list[float]]:
    """Tokens, log-probabilities, certainties; by one copy from the device."""
    columns = (drawn.token, drawn.logprob, drawn.certainty)
    lists: list[list[float]] = torch.stack([column.double() for column in columns]).tolist()
    return lists
