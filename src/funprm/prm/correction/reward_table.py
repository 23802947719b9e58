"""The table of learned rewards: one per distinct prefix, held near its measurement by a prior."""

import math
import sys
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from funprm.errors import ConfigError
from funprm.prm.batches import Batch
from funprm.prm.correction.base import Correction, CorrectionBatch, Evidence
from funprm.prm.records import CorrectedReward
from funprm.records import Json
from funprm.rewards import posterior_sd, prior_reward

RMS_DECAY = 0.99

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


class RewardTable(Correction):
    """Corrected rewards r of all partial programs of the training set.

    A reward starts at r0 = (k + 1/2) / (n + 1) and has the posterior variance sd^2 of its
    measurement. Rows of a batch move by

        r <- clip_[0,1]( (r - m mu h + (m mu lambda / sd^2) r0) / (1 + m mu lambda / sd^2) ),

    an implicit step of size m mu down the outer loss plus lambda (r - r0)^2 / (2 sd^2). h is the
    hypergradient per occurrence, centred over the batch and divided by its running RMS; m counts
    the prefix's occurrences in the batch, so that a prefix shared by m programs moves as it would
    in m batches. Rows of other batches do not move.

    Args:
        lr: mu: step of the rewards, in units of h's running RMS.
        prior: lambda: pull of a reward to its measurement, per posterior variance.

    Raises:
        ConfigError: a value is out of its range.
    """

    outer_loss = True

    def __init__(self, lr: float = 0.05, prior: float = 0.1) -> None:
        if not (lr > 0 and prior >= 0):
            raise ConfigError(
                f"correction: lr = {lr}, prior = {prior}: expected lr above 0 and prior 0 or more"
            )
        self.lr, self.prior = lr, prior

    def prepare(self, evidence: Evidence, seed: int) -> None:
        """A row per partial program, at its r0."""
        counts = list(zip(evidence.k.tolist(), evidence.n.tolist(), strict=True))
        self._evidence = evidence
        self.start = torch.tensor([prior_reward(k, n) for k, n in counts]).double()
        sd = torch.tensor([posterior_sd(k, n) for k, n in counts])
        self.variance = sd.double().square()
        self.value = self.start.clone()
        self.touched = torch.zeros(len(evidence), dtype=torch.bool)
        self._sums = torch.zeros(3, len(evidence), dtype=torch.float64)
        self._power = 0.0
        self._mass = 0.0

    def rewards(self, batch: Batch) -> Tensor:
        """The table's, [R]."""
        if not len(self.value):
            return batch.targets
        return self.value.to(batch.targets)[batch.rows.clamp(min=0)]

    def update(self, step: CorrectionBatch) -> None:
        """Moves the rewards of a batch by its hypergradient."""
        where, h, m = self._per_row(step)
        h = h - (m * h).sum() / m.sum()
        h = h / self._running_rms(h, m)
        pull = m * self.lr * self.prior / self.variance[where]
        moved = self.value[where] - m * self.lr * h + pull * self.start[where]
        self.value[where] = (moved / (1 + pull)).clamp(0.0, 1.0)
        self.touched[where] = True
        self._sums[:, where] += torch.stack([torch.ones_like(h), h, h.square()])

    def records(self) -> Iterator[CorrectedReward]:
        """The rewards fitted in the end."""
        return self._evidence.records(rewards=self.value.tolist())

    def diagnostics(self) -> dict[str, Json]:
        """How the rewards have moved: shown in the curves.

        Returns:
            `moved`: mean of |r - r0| over all rows. `touched`: share of rows that an update met.
            `shift`: quantiles of r - r0 over these. `signal_to_noise`: median over rows of
            |mean| / standard error of h over the updates that met the row, where two did; noise
            alone gives 1.0 after two and 0.7 after many. None where no row has one.
        """
        shift = self.value - self.start
        shares = torch.tensor(list(QUANTILES.values()), dtype=torch.float64)
        known = shift[self.touched]
        found = known.quantile(shares).tolist() if len(known) else []
        return {
            "moved": float(shift.abs().mean()),
            "touched": float(self.touched.double().mean()),
            "shift": dict(zip(QUANTILES, found, strict=False)),
            "signal_to_noise": self._signal_to_noise(),
        }

    def _signal_to_noise(self) -> float | None:
        visits, total, squares = self._sums[:, self._sums[0] > 1]
        mean = total / visits
        error = ((squares / visits - mean.square()).clamp(min=0) / (visits - 1)).sqrt()
        ratio = (mean.abs() / error)[error > 0]
        return float(ratio.median()) if len(ratio) else None

    def _per_row(self, step: CorrectionBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Distinct rows, their hypergradient per occurrence, and their occurrences."""
        where, inverse = torch.unique(step.rows.cpu(), return_inverse=True)
        nothing = torch.zeros(len(where), dtype=torch.float64)
        m = nothing.index_add(0, inverse, step.occurrences.double().cpu())
        return where, nothing.index_add(0, inverse, step.gradient.double().cpu()) / m, m

    def _running_rms(self, h: Tensor, m: Tensor) -> float:
        power = float((m * h.square()).sum() / m.sum())
        self._power = RMS_DECAY * self._power + (1 - RMS_DECAY) * power
        self._mass = RMS_DECAY * self._mass + (1 - RMS_DECAY)
        return max(math.sqrt(self._power / self._mass), sys.float_info.min)

    def state(self) -> dict[str, Json]:
        """All that changes, for `restore`."""
        return {
            "value": self.value.clone(),
            "touched": self.touched.clone(),
            "sums": self._sums.clone(),
            "power": self._power,
            "mass": self._mass,
        }

    def restore(self, state: Mapping[str, Json]) -> None:
        """Continues where `state` was taken."""
        self.value, self.touched = state["value"].clone(), state["touched"].clone()
        self._sums = state["sums"].clone()
        self._power, self._mass = state["power"], state["mass"]
