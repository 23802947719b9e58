"""The loss of choosing: within a problem, programs that pass should score above those that fail.

Of the programs of a batch, with s their scores (the mean of their steps' scores, as at best-of-N),

    L_pair = sum_ab m_ab softplus(-(s_a - s_b) / tau) / sum_ab m_ab

over all pairs of a passing program a and a failing program b of the same problem; m_ab is how many
pairs of identical programs each stands for. The logistic form is that of Bradley and Terry (1952).
A pair's programs may be in different micro-batches; so all scores come first, and the loss reaches
the model through its derivatives by the logits, which are exact.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from funprm.prm.batches import Batch, Example

TEMPERATURE = 0.1
"""tau: by how much of a score a program should be ahead."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of programs, as places in a list of examples; all [P]."""

    better: Tensor
    worse: Tensor
    weights: Tensor


def pairs_of(examples: Sequence[Example]) -> Pairs:
    """All pairs of a passing and a failing program of the same problem."""
    groups: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for place, example in enumerate(examples):
        if example.outcome is not None:
            groups[example.problem][int(example.outcome < 1)].append(place)
    found = [
        (a, b, examples[a].copies * examples[b].copies)
        for passed, failed in groups.values()
        for a in passed
        for b in failed
    ]
    better, worse, weights = torch.tensor(found, dtype=torch.int64).reshape(-1, 3).T
    return Pairs(better, worse, weights)


def pair_loss(pairs: Pairs, scores: Tensor) -> Tensor:
    """L_pair of programs' scores, [programs]."""
    better, worse = pairs.better.to(scores.device), pairs.worse.to(scores.device)
    weights = pairs.weights.to(scores)
    behind = (scores[worse] - scores[better]) / TEMPERATURE
    return (weights * nn.functional.softplus(behind)).sum() / weights.sum()


def score_gradients(pairs: Pairs, scores: Tensor) -> Tensor:
    """dL_pair/ds of each program, [programs]; at least one pair."""
    with torch.enable_grad():
        s = scores.detach().requires_grad_()
        (found,) = torch.autograd.grad(pair_loss(pairs, s), s)
    return found


def program_scores(logits: Tensor, batch: Batch) -> Tensor:
    """S: the mean of sigmoid(z) over each program's rows, [programs]."""
    nothing = logits.new_zeros(len(batch.tokens))
    return nothing.index_add(0, batch.program, logits.sigmoid()) / _rows(batch, nothing)


def logit_gradients(gradients: Tensor, logits: Tensor, batch: Batch) -> Tensor:
    """dL_pair/dz of each row, [R].

    Args:
        gradients: dL_pair/ds of the batch's programs, [programs].
        logits: z, [R].
        batch: all rows of every program that count for its score.
    """
    p = logits.sigmoid()
    return (gradients / _rows(batch, gradients))[batch.program] * p * (1 - p)


def _rows(batch: Batch, like: Tensor) -> Tensor:
    """Number of rows of each program, [programs]."""
    ones = torch.ones_like(batch.program, dtype=like.dtype)
    return torch.zeros_like(like).index_add(0, batch.program, ones)
