import torch

from funprm.prm.batches import CLEAN
from funprm.prm.correction.combined import Correction
from funprm.prm.correction.moment import Moment
from funprm.prm.correction.reweighting import Reweighter


def moment(gradient: list[float]) -> Moment:
    """Rows whose rewards are 0 though the model says 0.9, and rows on which both agree."""
    logits, rewards = torch.tensor([2.2, 2.2, 2.2, -2.2]), torch.tensor([0.0, 0.0, 1.0, 0.0])
    ones = torch.ones(4)
    return Moment(torch.arange(4), rewards, logits, ones, ones, torch.tensor(gradient))


def test_weights_start_at_one_and_clean_labels_keep_it() -> None:
    reweighter = Reweighter(2, seed=0)
    z, r, rows = (
        torch.tensor([0.3, 1.0, 2.0]),
        torch.tensor([0.0, 1.0, 0.5]),
        torch.tensor([0, 1, CLEAN]),
    )
    assert reweighter.weights(z, r, rows).tolist() == [1.0, 1.0, 1.0]


def test_rows_that_hurt_lose_weight() -> None:
    reweighter = Reweighter(4, seed=0)
    correction = Correction(None, reweighter)
    m = moment([0.0] * 4)
    for _ in range(50):
        before = reweighter.weights(m.logits, m.rewards, m.rows)
        # Raising the rewards of the first two would lower the outer loss.
        correction.update(moment([-1.0, -1.0, 1.0, 1.0]))
    weights = reweighter.weights(m.logits, m.rewards, m.rows)
    assert float(weights[:2].max()) < 0.7 < 1.0 < float(weights[2:].min())
    assert torch.equal(reweighter.value, before)


def test_state_continues() -> None:
    one, other = Reweighter(4, seed=0), Reweighter(4, seed=1)
    Correction(None, one).update(moment([-1.0, -1.0, 1.0, 1.0]))
    other.restore(one.state())
    for reweighter in (one, other):
        Correction(None, reweighter).update(moment([-1.0, 1.0, 1.0, 1.0]))
    m = moment([0.0] * 4)
    assert torch.equal(*(r.weights(m.logits, m.rewards, m.rows) for r in (one, other)))
