"""Batched sampling from a causal language model with a key-value cache.

Every row draws its tokens from its own stream of uniforms, so what a row writes does not depend
on the rows beside it (but for the last bits of matrix products, which may). Equal prompts are
encoded once. Rows leave the batch when they end.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedModel

from funprm.errors import ModelError
from funprm.policies.huggingface.cache import RowCache

_GAMMA = 0x9E3779B97F4A7C15
_KEPT_ROWS = 0.8
"""Rows that ended are dropped once fewer than this share of a batch is alive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One continuation that is wanted."""

    prompt: tuple[int, ...]
    """Token ids; not empty."""
    limit: int
    """Most tokens to draw; at least 1."""
    stream: int
    """Names the row's uniforms, 64 bits: equal streams draw equal uniforms."""
    ends: Callable[[tuple[int, ...]], bool] | None = None
    """Whether the row is complete with these tokens; asked after each token of `Rule.asks`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How tokens are drawn."""

    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Draws from the likeliest tokens that together have this probability."""
    stop: frozenset[int] = frozenset()
    """Tokens that end a row."""
    asks: frozenset[int] = frozenset()
    """Tokens that may end a row: its `ends` decides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Continuation:
    """What was drawn for a row."""

    tokens: tuple[int, ...]
    """All drawn tokens, the one that ended the row included."""
    stopped: bool
    """False: the limit was reached first."""
    logprob: float
    """Sum of the tokens' log-probabilities under the model itself (temperature 1, all tokens)."""
    self_certainty: float
    """Mean over the tokens of KL(uniform || model) in nats, arXiv 2502.18581, equation 5."""


def uniforms(streams: npt.NDArray[np.uint64], step: int) -> npt.NDArray[np.float32]:
    """The uniforms in [0, 1) of all streams at one step: the SplitMix64 generator, 24 bits.

    Counter-based: no state, so rows can come and go.
    """
    z = streams + np.uint64((step + 1) * _GAMMA & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)) * np.float64(2.0**-24)).astype(np.float32)


def choose(logprobs: Tensor, uniform: Tensor, rule: Rule) -> Tensor:
    """One token per row by inverting the cumulative distribution.

    Args:
        logprobs: log-probabilities of the model, fp32 [rows, vocabulary].
        uniform: in [0, 1), multiples of 2**-24, fp32 [rows].
        rule: how to draw.

    Returns:
        Token ids, [rows].
    """
    if rule.temperature == 0:
        return logprobs.argmax(-1)
    if rule.temperature == 1:
        weights = logprobs.exp()
    else:
        weights = torch.softmax(logprobs / rule.temperature, -1)
    if rule.top_p == 1:
        return _invert(weights, uniform)
    weights, order = weights.sort(dim=-1, descending=True)
    before = weights.cumsum(-1) - weights
    index = _invert(weights * (before < rule.top_p), uniform)
    return order.gather(-1, index[:, None])[:, 0]


def _invert(weights: Tensor, uniform: Tensor) -> Tensor:
    cumulative = weights.cumsum(-1)
    # At most (1 - 2**-24) of the total, which rounds to below the total: the index exists and
    # its weight is not 0.
    target = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True)[:, 0]


class Sampler:
    """Draws continuations from one model."""

    def __init__(self, model: PreTrainedModel, rule: Rule) -> None:
        self._model = model
        self._rule = rule
        # The argument was renamed in the course of transformers 5.
        names = inspect.signature(model.forward).parameters
        self._cache_argument = "cache" if "cache" in names else "past_key_values"

    @torch.inference_mode()
    def draw(self, rows: Sequence[Row]) -> list[Continuation]:
        """One continuation per row, in order.

        Raises:
            ModelError: the model's output is not a number.
        """
        batch = _Batch(rows, self._rule, self._model.device)
        cache = RowCache(self._model.config)
        logits = self._prefill(batch, cache)
        if bool(logits.isnan().any()):
            raise ModelError(
                "the model's output is not a number: its weights are broken, or its numbers "
                "overflow (try dtype = 'fp32')"
            )
        while batch.take(logits):
            batch.compact(cache)
            logits = self._forward(
                cache,
                input_ids=batch.last[:, None],
                attention_mask=self._mask(batch, cache),
                position_ids=batch.positions[:, None],
            )
        return batch.continuations()

    def _prefill(self, batch: "_Batch", cache: RowCache) -> Tensor:
        """Encodes each distinct prompt once; returns logits of what follows, [rows, vocabulary]."""
        ids, mask, owner = batch.prompts()
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        logits = self._forward(cache, input_ids=ids, attention_mask=mask, position_ids=positions)
        if len(ids) < len(owner):
            cache.keep(owner, 0)
            logits = logits[owner]
        return logits

    def _forward(self, cache: RowCache, **inputs: Tensor | None) -> Tensor:
        arguments: dict[str, Any] = {**inputs, self._cache_argument: cache}
        output = self._model(use_cache=True, logits_to_keep=1, **arguments)
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def _mask(self, batch: "_Batch", cache: RowCache) -> Tensor | None:
        """The decoding mask. A prepared 4D one spares the library building it at every token."""
        if not cache.full:
            return batch.mask(cache.get_seq_length() + 1).long()
        if not batch.padded:
            return None
        seen = batch.mask(cache.get_seq_length() + 1)[:, None, None]
        if self._model.config._attn_implementation == "sdpa":
            return seen
        blank = torch.zeros(seen.shape, dtype=self._model.dtype, device=seen.device)
        return blank.masked_fill_(~seen, torch.finfo(blank.dtype).min)


class _Batch:
    """The rows of one call: what was drawn so far, and who is still drawing."""

    def __init__(self, rows: Sequence[Row], rule: Rule, device: torch.device) -> None:
        self._rows = rows
        self._rule = rule
        self._device = device
        self._step = 0
        size, width = len(rows), max(row.limit for row in rows)
        self._streams = np.array([row.stream for row in rows], dtype=np.uint64)
        self._limits = torch.tensor([row.limit for row in rows], device=device)
        self._stop = torch.tensor(sorted(rule.stop), dtype=torch.long, device=device)
        self._asks = torch.tensor(sorted(rule.asks), dtype=torch.long, device=device)
        self._tokens = torch.zeros((size, width), dtype=torch.long, device=device)
        self._count = torch.zeros(size, dtype=torch.long, device=device)
        self._stopped = torch.zeros(size, dtype=torch.bool, device=device)
        self._logprob = torch.zeros(size, dtype=torch.float64, device=device)
        self._certainty = torch.zeros(size, dtype=torch.float64, device=device)
        # Of the rows in the cache: number, whether still drawing, padding, next position.
        self._numbers = torch.arange(size, device=device)
        self._alive = torch.ones(size, dtype=torch.bool, device=device)
        lengths = torch.tensor([len(row.prompt) for row in rows], device=device)
        self._padding = lengths.max() - lengths
        self.padded = bool(self._padding.any())
        self.positions = lengths - 1
        self.last = torch.zeros(size, dtype=torch.long, device=device)

    def prompts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Distinct prompts, padded on the left.

        Returns:
            Token ids and mask, [prompts, tokens], and each row's prompt, [rows].
        """
        distinct = {
            prompt: i for i, prompt in enumerate(dict.fromkeys(r.prompt for r in self._rows))
        }
        width = max(map(len, distinct))
        ids = np.zeros((len(distinct), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for prompt, i in distinct.items():
            ids[i, width - len(prompt) :] = prompt
            mask[i, width - len(prompt) :] = 1
        owner = torch.tensor([distinct[row.prompt] for row in self._rows], device=self._device)
        return (
            torch.from_numpy(ids).to(self._device),
            torch.from_numpy(mask).to(self._device),
            owner,
        )

    def mask(self, width: int) -> Tensor:
        """True where a row's token is no padding, [rows in the cache, width]."""
        return torch.arange(width, device=self._device) >= self._padding[:, None]

    def take(self, logits: Tensor) -> bool:
        """Draws the next token of every row; False once no row is drawing any more."""
        logprobs = torch.log_softmax(logits, -1)
        drawn = uniforms(self._streams, self._step)
        token = choose(logprobs, torch.from_numpy(drawn).to(self._device), self._rule)
        self._record(token, logprobs)
        self._step += 1
        stopped = torch.isin(token, self._stop)
        if len(self._asks):
            self._ask(torch.isin(token, self._asks) & self._alive, stopped)
        self._stopped[self._numbers] |= stopped & self._alive
        self._alive &= ~stopped & (self._limits[self._numbers] > self._step)
        self.last = token
        self.positions = self.positions + 1
        return bool(self._alive.any())

    def _ask(self, doubtful: Tensor, stopped: Tensor) -> None:
        """Marks those of the doubtful rows that are complete as stopped."""
        for place in doubtful.nonzero()[:, 0].tolist():
            number = int(self._numbers[place])
            ends = self._rows[number].ends
            if ends is not None and ends(tuple(self._tokens[number, : self._step].tolist())):
                stopped[place] = True

    def _record(self, token: Tensor, logprobs: Tensor) -> None:
        """Adds a token to the rows still drawing."""
        alive = self._alive
        self._tokens[self._numbers, self._step] = token
        self._count[self._numbers] += alive
        chosen = logprobs.gather(-1, token[:, None])[:, 0]
        self._logprob[self._numbers] += chosen * alive
        certainty = -math.log(logprobs.shape[-1]) - logprobs.mean(-1)
        self._certainty[self._numbers] += certainty * alive

    def compact(self, cache: RowCache) -> None:
        """Drops rows that ended, once it pays, and columns that are padding to all others."""
        rows = self._alive.nonzero()[:, 0]
        if len(rows) > _KEPT_ROWS * len(self._alive):
            return
        self._alive = self._alive[rows]
        self._numbers = self._numbers[rows]
        self._streams = self._streams[rows.cpu().numpy()]
        self._padding = self._padding[rows]
        self.positions = self.positions[rows]
        self.last = self.last[rows]
        first = int(self._padding.min()) if cache.full else 0
        self._padding = self._padding - first
        self.padded = bool(self._padding.any())
        cache.keep(rows, first)

    def continuations(self) -> list[Continuation]:
        """All rows' results, in order."""
        columns = (self._tokens, self._count, self._stopped, self._logprob, self._certainty)
        return [
            Continuation(
                tokens=tuple(tokens[:count]),
                stopped=stopped,
                logprob=logprob,
                self_certainty=certainty / count,
            )
            for tokens, count, stopped, logprob, certainty in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]
