"""Drawing tokens from logits: whole distributions, or their likeliest part, without sorting it.

Every row has a uniform of its own, and each token is the inverse of a cumulative distribution at
it: what is drawn follows from logits and uniforms alone.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15
_BLOCK = 128
"""Tokens that are first looked at as one."""
_CANDIDATES = 64
"""Likeliest tokens among which a nucleus is looked for at first."""
_ROWS = 8
"""Rows that are drawn at once on a CPU: their numbers stay in its caches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Of each row, [rows]."""

    token: Tensor
    """Token ids."""
    logprob: Tensor
    """Their log-probabilities under the model itself (temperature 1, all tokens)."""
    certainty: Tensor
    """KL(uniform || model) in nats."""


def uniforms(
    streams: npt.NDArray[np.uint64], step: int | npt.NDArray[np.uint64]
) -> npt.NDArray[np.float32]:
    """The uniforms in [0, 1) of all streams at a step: the SplitMix64 generator, 24 bits.

    Counter-based: no state, so rows can come and go.

    Args:
        streams: 64 bits each, [rows].
        step: from 0; one for all, or one per row.
    """
    z = streams + (np.atleast_1d(np.uint64(step)) + np.uint64(1)) * np.uint64(_GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    numbers: npt.NDArray[np.uint64] = z >> np.uint64(40)
    return (numbers * np.float64(2.0**-24)).astype(np.float32)


def draw(logits: Tensor, uniform: Tensor, temperature: float, top_p: float) -> Drawn:
    """One token per row, with what the model thinks of it.

    Args:
        logits: of any floating type, [rows, vocabulary].
        uniform: in [0, 1), multiples of 2**-24, [rows].
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: draws from the likeliest tokens that together have this probability.
    """
    size = _ROWS if logits.device.type == "cpu" else len(logits)
    parts = [
        _draw(part.float(), u, temperature, top_p)
        for part, u in zip(torch.split(logits, size), torch.split(uniform, size), strict=True)
    ]
    columns = zip(*((x.token, x.logprob, x.certainty) for x in parts), strict=True)
    token, logprob, certainty = (torch.cat(column) for column in columns)
    return Drawn(token=token, logprob=logprob, certainty=certainty)


def _draw(logits: Tensor, uniform: Tensor, temperature: float, top_p: float) -> Drawn:
    total = logits.logsumexp(-1)
    token = choose(logits, uniform, temperature, top_p)
    chosen = logits.gather(-1, token[:, None])[:, 0]
    return Drawn(
        token=token,
        logprob=chosen - total,
        certainty=total - logits.mean(-1) - float(np.log(logits.shape[-1])),
    )


def choose(logits: Tensor, uniform: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """One token per row by inverting the cumulative distribution; arguments as of `draw`.

    Returns:
        Token ids, [rows].
    """
    if temperature == 0:
        return logits.argmax(-1)
    if temperature != 1:
        logits = logits / temperature
    if top_p < 1:
        return _of_nucleus(logits, uniform.double(), top_p)
    return _of_all(logits, uniform.double())


def _of_all(logits: Tensor, uniform: Tensor) -> Tensor:
    """Inverts the distribution over all tokens: first over blocks of them, then within one."""
    weights = _blocks(logits - logits.amax(-1, keepdim=True)).exp_()
    cumulative = weights.sum(-1).double().cumsum(-1)
    target = uniform * cumulative[:, -1]
    block = _invert(cumulative, target)
    end = cumulative.gather(-1, block[:, None])[:, 0]
    rows = torch.arange(len(block), device=block.device)
    inside = weights[rows, block].double()
    # The share of the block's weight that lies below the target.
    share = 1 - (end - target) / inside.sum(-1)
    within = inside.cumsum(-1)
    return block * _BLOCK + _invert(within, share * within[:, -1])


def _invert(cumulative: Tensor, target: Tensor) -> Tensor:
    """The first index whose cumulative weight exceeds the target, never one of weight 0.

    Args:
        cumulative: not falling, [rows, weights].
        target: about from 0 to below the last; what rounding moves out is moved in, [rows].
    """
    last = torch.searchsorted(cumulative, cumulative[:, -1:].contiguous())
    found = torch.searchsorted(cumulative, target.clamp(min=0)[:, None], right=True)
    return torch.minimum(found, last)[:, 0]


def _of_nucleus(logits: Tensor, uniform: Tensor, top_p: float) -> Tensor:
    """Inverts the distribution over the likeliest tokens, the lower of equally likely ones first.

    A row's nucleus is looked for among a few likeliest tokens; where these do not cover it, among
    eight times as many, at last among all. The result is that of sorting all tokens: see `_ranks`.
    """
    total = logits.logsumexp(-1, keepdim=True)
    token = torch.empty(len(logits), dtype=torch.long, device=logits.device)
    rows, count = torch.arange(len(logits), device=logits.device), _CANDIDATES
    while len(rows):
        values, tokens, certain = _ranks(logits[rows], count)
        weights = (values - total[rows]).double().exp()
        before = weights.cumsum(-1) - weights
        kept = before < top_p
        covered = ~(kept & ~certain).any(-1)
        cumulative = (weights * kept).cumsum(-1)
        index = _invert(cumulative, uniform[rows] * cumulative[:, -1])
        token[rows[covered]] = tokens.gather(-1, index[:, None])[:, 0][covered]
        rows, count = rows[~covered], count * 8
    return token


def _ranks(logits: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest tokens in order, the lower of equal ones first.

    Looks only into the `count` blocks with the largest maxima. A token above the count-th largest
    value v found there lies in none of the others: else those `count` maxima would all be above v.
    So all tokens above v have been found, and `certain` marks them; of tokens equal to v some may
    be missing.

    Returns:
        Values, tokens and whether their ranks are certain, [rows, count]; all tokens, certain,
        where `count` blocks hold the whole vocabulary.
    """
    if count * _BLOCK >= logits.shape[-1]:
        values, tokens = logits.sort(dim=-1, descending=True, stable=True)
        return values, tokens, torch.ones_like(values, dtype=torch.bool)
    blocks = _blocks(logits)
    best = blocks.amax(-1).topk(count).indices
    near = blocks.gather(1, best[:, :, None].expand(-1, -1, _BLOCK))
    place = near.flatten(1).topk(count).indices
    tokens = best.gather(-1, place // _BLOCK) * _BLOCK + place % _BLOCK
    tokens = tokens.sort().values
    values, order = logits.gather(-1, tokens).sort(dim=-1, descending=True, stable=True)
    return values, tokens.gather(-1, order), values > values[:, -1:]


def _blocks(logits: Tensor) -> Tensor:
    """The logits by blocks of tokens, filled up with impossible ones, [rows, blocks, block]."""
    missing = -logits.shape[-1] % _BLOCK
    if missing:
        logits = torch.nn.functional.pad(logits, (0, missing), value=-torch.inf)
    return logits.view(len(logits), -1, _BLOCK)
