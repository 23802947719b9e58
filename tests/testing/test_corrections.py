"""Our corrections pass their exam; one that breaks a promise is told which."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from funprm import registry
from funprm.prm.batches import Batch
from funprm.prm.correction.base import Correction, CorrectionBatch, Evidence, Floats
from funprm.records import Json
from funprm.testing import check_correction


@pytest.mark.parametrize("name", registry.names("corrections"))
def test_our_own(name: str) -> None:
    check_correction(registry.build("corrections", name, {}))


class TooLarge(Correction):
    def prepare(self, evidence: Evidence, seed: int) -> Floats:
        return evidence.k


class TooFew(Correction):
    def prepare(self, evidence: Evidence, seed: int) -> Floats:
        return evidence.measured[:3]


class Both(Correction):
    outer_loss: ClassVar[bool] = True

    def prepare(self, evidence: Evidence, seed: int) -> Floats:
        return evidence.measured


class OneNumber(Correction):
    def rewards(self, batch: Batch) -> Tensor:
        return batch.targets.mean()


class Negative(Correction):
    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        return -torch.ones_like(logits)


class Infinite(Correction):
    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        return batch.targets / 0


class Random(Correction):
    def rewards(self, batch: Batch) -> Tensor:
        return torch.rand_like(batch.targets)


class Forgetful(Correction):
    outer_loss: ClassVar[bool] = True

    def prepare(self, evidence: Evidence, seed: int) -> None:
        self.known, self.value = evidence, torch.from_numpy(evidence.measured)

    def rewards(self, batch: Batch) -> Tensor:
        return self.value[batch.rows]

    def update(self, step: CorrectionBatch) -> None:
        moved = self.value[step.rows] - step.gradient.double()
        self.value = self.value.index_put((step.rows,), moved.clamp(0, 1))


class Odd(Forgetful):
    def state(self) -> Mapping[str, Json]:
        return {"value": np.ones(3)}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (TooLarge, "gave rewards from 0.0 to 7.0: expected 0 to 1"),
        (TooFew, r"gave rewards of shape \(3,\): expected \(\d+,\), one per row"),
        (Both, "follows the outer loss, and prepare"),
        (OneNumber, r"rewards\(\) gave \(\): expected a tensor \[12\]"),
        (Negative, r"weights\(\) gave numbers from -1"),
        (Infinite, r"weights\(\) gave numbers that are not finite"),
        (Random, "the same steps give other rewards"),
        (Forgetful, "after restore.* it goes on otherwise"),
        (Forgetful, r"records\(\) tells of 0 partial programs"),
        (Odd, "holds something else than tensors"),
    ],
)
def test_a_broken_promise_is_named(kind: type[Correction], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_correction(kind())
