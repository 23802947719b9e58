from dataclasses import replace

import torch

from funprm.prm.batches import CLEAN
from funprm.prm.correction.base import CorrectionBatch, weighted
from funprm.prm.correction.exam import batches, evidence
from funprm.prm.correction.reweighting import Reweighting


def make() -> Reweighting:
    reweighting = Reweighting()
    reweighting.prepare(evidence(), seed=0)
    return reweighting


def step(gradient: list[float]) -> CorrectionBatch:
    """Rows whose rewards are 0 though the model says 0.9, and rows on which both agree."""
    logits, rewards = torch.tensor([2.2, 2.2, 2.2, -2.2]), torch.tensor([0.0, 0.0, 1.0, 0.0])
    ones = torch.ones(4)
    return CorrectionBatch(torch.arange(4), rewards, logits, ones, ones, torch.tensor(gradient))


def test_weights_start_at_one() -> None:
    batch, logits = next(batches(evidence()))
    assert make().weights(logits, batch).tolist() == [1.0] * len(logits)


def test_rows_that_hurt_lose_weight_and_clean_labels_keep_it() -> None:
    reweighting = make()
    seen = step([0.0] * 4)
    for _ in range(50):
        before = reweighting._omega(seen.logits, seen.rewards)
        # Raising the rewards of the first two would lower the outer loss.
        reweighting.update(step([-1.0, -1.0, 1.0, 1.0]))
    weights = reweighting._omega(seen.logits, seen.rewards).detach()
    assert float(weights[:2].max()) < 0.7 < 1.0 < float(weights[2:].min())
    assert torch.equal(reweighting.value[:4], before.detach())
    batch, logits = next(batches(evidence()))
    batch = replace(batch, weights=torch.ones_like(batch.weights))
    found = weighted(reweighting, logits, batch)
    clean = batch.rows == CLEAN
    assert found[clean].tolist() == [1.0] * int(clean.sum())
    assert bool((found[~clean] != 1.0).all())
