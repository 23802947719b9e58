"""Labelled rows and batches: which markers of which programs are fitted to what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from funprm.prm.rendering import Encoded
from funprm.records import LabelledProgram

CLEAN = -1
"""Reward row of a label that is never corrected: a complete program's own verdict."""

Labels = Literal["all", "partial", "outcome"]

WINDOW = 8
"""Batches per window in which programs are sorted by length: little padding, random enough."""


@dataclass(frozen=True, slots=True)
class Example:
    """A program and its labelled steps; identical programs are one example.

    The four label tuples have one entry per labelled step.
    """

    generation: str
    problem: str
    outcome: float | None
    """The program's own verdict, 1 or 0; None where it is unknown, or not the same every time."""
    copies: int
    """How many identical programs it stands for."""
    encoded: Encoded
    steps: tuple[int, ...]
    targets: tuple[float, ...]
    """Rewards in [0, 1]; the mean over identical programs."""
    weights: tuple[int, ...]
    """How many identical programs carry this label; 0: the step is scored and not fitted."""
    rows: tuple[int, ...]
    """Row of each step's prefix in the reward table, or `CLEAN`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded programs and their R labelled rows. No mask: attention is causal."""

    tokens: Tensor
    """Token ids, int64 [programs, longest]."""
    program: Tensor
    """Program of each row, int64 [R]."""
    position: Tensor
    """Marker's position of each row, int64 [R]."""
    targets: Tensor
    """Rewards in [0, 1], float32 [R]."""
    weights: Tensor
    """Multiplicities, float32 [R]."""
    rows: Tensor
    """Rows of the reward table or `CLEAN`, int64 [R]."""
    size: int
    """Number of tokens without padding."""


def collate(examples: Sequence[Example], pad: int, device: torch.device | str) -> Batch:
    """One batch of examples, on the device."""
    where = [(i, e.encoded.markers[step]) for i, e in enumerate(examples) for step in e.steps]
    place = torch.tensor(where, dtype=torch.int64, device=device).reshape(-1, 2)
    return Batch(
        tokens=padded([e.encoded.tokens for e in examples], pad).to(device),
        program=place[:, 0],
        position=place[:, 1],
        targets=_flat([e.targets for e in examples], torch.float32).to(device),
        weights=_flat([e.weights for e in examples], torch.float32).to(device),
        rows=_flat([e.rows for e in examples], torch.int64).to(device),
        size=sum(len(e.encoded.tokens) for e in examples),
    )


def padded(sequences: Sequence[Sequence[int]], pad: int) -> Tensor:
    """Right-padded token ids, int64 [sequences, longest]."""
    longest = max(map(len, sequences))
    return torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids in sequences])


def _flat(values: Sequence[Sequence[float]], dtype: torch.dtype) -> Tensor:
    return torch.tensor([v for row in values for v in row], dtype=dtype)


class Pool:
    """Endless, reproducible batches of examples: batch t depends on (seed, name, t) alone.

    Every pass visits each example once, in an order of its own; the batches of a pass differ by
    one in size at most.

    Args:
        examples: what to draw.
        batch: how many at once.
        seed: of all orders.
        together: keeps the examples of a problem in one batch; batches then differ more in size.
    """

    def __init__(
        self, examples: Sequence[Example], batch: int, seed: int, *, together: bool = False
    ) -> None:
        self.examples = examples
        units: dict[str, list[int]] = {}
        for i, example in enumerate(examples):
            units.setdefault(example.problem if together else str(i), []).append(i)
        self._units = list(units.values())
        self._count = min(len(units), -(-len(examples) // batch))
        self._seed = seed
        self._pass: tuple[int, list[list[int]]] = (-1, [])

    def batch(self, step: int) -> list[Example]:
        """The examples of batch `step`, from 0."""
        number, index = divmod(step, self._count)
        if self._pass[0] != number:
            self._pass = (number, list(self._plan(number)))
        return [self.examples[i] for unit in self._pass[1][index] for i in self._units[unit]]

    def _plan(self, number: int) -> Iterator[list[int]]:
        random = np.random.default_rng((self._seed, number))
        lengths = np.array(
            [max(len(self.examples[i].encoded.tokens) for i in unit) for unit in self._units]
        )
        order = random.permutation(len(lengths))
        windows = np.array_split(order, -(-self._count // WINDOW))
        ordered = np.concatenate([w[np.argsort(lengths[w], kind="stable")] for w in windows])
        batches = np.array_split(ordered, self._count)
        for i in random.permutation(self._count):
            yield batches[i].tolist()


def examples_of(
    programs: Sequence[tuple[LabelledProgram, Encoded]],
    rows: Mapping[str, int],
    *,
    labels: Labels,
    whole: bool = False,
) -> list[Example]:
    """Examples of rendered programs; identical programs of a problem are merged.

    Merging changes nothing in the loss: it is linear in the target, so rows of equal input are
    one row of their mean target and their number as weight. (Squared error differs by a
    constant.)

    Args:
        programs: programs with their tokens.
        rows: prefix key to row of the reward table; a prefix not in it is `CLEAN`.
        labels: which steps are labelled: all, those before the last, or the last.
        whole: adds all other steps, with weight 0.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[LabelledProgram, Encoded]]] = {}
    for program, encoded in programs:
        groups.setdefault((program.problem_id, program.steps), []).append((program, encoded))
    merged = (_merged(group, rows, labels, whole) for group in groups.values())
    return [example for example in merged if any(example.weights)]


def _merged(
    group: Sequence[tuple[LabelledProgram, Encoded]],
    rows: Mapping[str, int],
    labels: Labels,
    whole: bool,
) -> Example:
    first, encoded = group[0]
    last = len(first.steps) - 1
    steps, targets, weights = [], [], []
    wanted = {"all": range(last + 1), "partial": range(last), "outcome": range(last, last + 1)}
    for step in range(last + 1):
        found = [p.reward(step) for p, _ in group] if step in wanted[labels] else []
        known = [reward for reward in found if reward is not None]
        if known or whole:
            steps.append(step)
            targets.append(sum(known) / max(1, len(known)))
            weights.append(len(known))
    outcomes = {p.outcome for p, _ in group}
    return Example(
        generation=first.generation,
        problem=first.problem_id,
        outcome=outcomes.pop() if len(outcomes) == 1 else None,
        copies=len(group),
        encoded=encoded,
        steps=tuple(steps),
        targets=tuple(targets),
        weights=tuple(weights),
        rows=tuple(CLEAN if s == last else rows.get(first.prefixes[s], CLEAN) for s in steps),
    )
