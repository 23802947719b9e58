"""What breaks the promises of a correction: a few batches of training, without a model."""

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from funprm.errors import FunprmError
from funprm.prm.batches import CLEAN, Batch
from funprm.prm.correction.base import Correction, CorrectionBatch, Evidence, fitted, weighted
from funprm.records import LabelledProgram

_PROGRAMS, _BATCH, _UPDATES = 24, 12, 6

Faults = Iterator[str]


def evidence() -> Evidence:
    """Evidence of `_PROGRAMS` made-up programs, two partial ones each."""
    return Evidence.of(_programs())


def _programs() -> Iterator[LabelledProgram]:
    for i in range(_PROGRAMS):
        prefixes = (f"{i // 3} begin", f"{i} middle", f"{i} end")
        yield LabelledProgram(
            generation=str(i),
            problem_id=str(i // 3),
            statement="",
            steps=("a", "b", "c"),
            prefixes=prefixes,
            k=(i // 3, i % 5, i % 2),
            n=(8, 4, 1),
        )


def batches(known: Evidence) -> Iterator[tuple[Batch, Tensor]]:
    """Batches with their logits; some rows are clean, some occur twice."""
    random = torch.Generator().manual_seed(0)
    measured = torch.from_numpy(known.measured).float()
    for _ in range(_UPDATES):
        rows = torch.randint(len(known), (_BATCH,), generator=random)
        rows[-2:], rows[0] = CLEAN, rows[1]
        targets = torch.where(rows == CLEAN, 1.0, measured[rows.clamp(min=0)])
        place = torch.arange(_BATCH)
        batch = Batch(
            tokens=torch.zeros(_BATCH, 1, dtype=torch.int64),
            program=place,
            position=torch.zeros_like(place),
            targets=targets,
            weights=torch.randint(1, 4, (_BATCH,), generator=random).float(),
            rows=rows,
            size=_BATCH,
        )
        yield batch, torch.randn(_BATCH, generator=random)


def faults(correction: Correction) -> Faults:
    """Broken promises of a correction, a sentence each.

    Args:
        correction: a fresh one; copies of it are examined.
    """
    known = evidence()
    try:
        examined = copy.deepcopy(correction)
        broken = list(_prepared_faults(examined, known))
        yield from broken
        if broken:
            return
        yield from _learning_faults(examined, known)
        yield from _repetition_faults(correction, known)
        if correction.outer_loss:
            yield from _record_faults(examined, known)
    except FunprmError as error:
        yield f"it refused good evidence: {error}"


def _prepared_faults(correction: Correction, known: Evidence) -> Faults:
    rewards = correction.prepare(known, 0)
    if rewards is None:
        return
    if correction.outer_loss:
        yield "it follows the outer loss, and prepare() gave rewards: expected None"
    shape = getattr(rewards, "shape", None)
    if shape != (len(known),):
        yield f"prepare() gave rewards of shape {shape}: expected ({len(known)},), one per row"
    elif not ((rewards >= 0) & (rewards <= 1)).all():
        yield f"prepare() gave rewards from {rewards.min()} to {rewards.max()}: expected 0 to 1"


def _learning_faults(correction: Correction, known: Evidence) -> Faults:
    """What it gives is usable before and after each update."""
    for batch, logits in batches(known):
        for name, found, most in (
            ("rewards()", correction.rewards(batch), 1.0),
            ("weights()", correction.weights(logits, fitted(correction, batch)), math.inf),
        ):
            fault = _value_fault(found, most)
            if fault:
                yield f"{name} {fault}"
                return
        _update(correction, batch, logits)


def _value_fault(found: object, most: float) -> str:
    """What is wrong with rewards or weights of a batch; empty: nothing."""
    if not isinstance(found, Tensor) or found.shape != (_BATCH,):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        return f"gave {shape}: expected a tensor [{_BATCH}], one number per row of the batch"
    if not bool(found.isfinite().all()):
        return "gave numbers that are not finite"
    least = float(found.min())
    if least < 0 or float(found.max()) > most:
        return f"gave numbers from {least} to {float(found.max())}: expected 0 to {most:g}"
    return ""


def _update(correction: Correction, batch: Batch, logits: Tensor) -> tuple[Tensor, Tensor]:
    """One step of training; the rewards and weights that it fitted."""
    used = fitted(correction, batch)
    omega = weighted(correction, logits, used)
    if correction.outer_loss:
        step = CorrectionBatch(
            rows=batch.rows,
            rewards=used.targets,
            logits=logits,
            occurrences=batch.weights,
            weights=omega,
            gradient=(used.targets - logits.sigmoid()) * omega / _BATCH,
        )
        correction.update(step.partial())
    return used.targets, omega


def _repetition_faults(fresh: Correction, known: Evidence) -> Faults:
    """The same steps give the same numbers, also after `restore`."""
    first, second, restored = (copy.deepcopy(fresh) for _ in range(3))
    for correction in (first, second, restored):
        correction.prepare(known, 0)
    steps = list(batches(known))
    for batch, logits in steps[:3]:
        if not _same(_update(first, batch, logits), _update(second, batch, logits)):
            yield "the same steps give other rewards or weights at a second time"
            return
    state = first.state()
    if not _plain(state):
        yield "state() holds something else than tensors and what JSON can hold"
        return
    restored.restore(copy.deepcopy(dict(state)))
    for batch, logits in steps[3:]:
        if not _same(_update(first, batch, logits), _update(restored, batch, logits)):
            yield "after restore(state()) it goes on otherwise than without an interruption"
            return


def _same(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def _plain(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, Mapping):
        return all(isinstance(k, (str, int)) and _plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return value is None or isinstance(value, (Tensor, str, int, float, bool))


def _record_faults(correction: Correction, known: Evidence) -> Faults:
    prefixes = [item.prefix for item in correction.records()]
    if sorted(prefixes) != sorted(known.prefixes):
        yield (
            f"records() tells of {len(prefixes)} partial programs: expected each of the "
            f"{len(known)} once (Evidence.records gives them)"
        )
