"""Learned weights of partial programs."""

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from funprm.prm.batches import Batch
from funprm.prm.correction.base import Correction, CorrectionBatch, Evidence
from funprm.prm.records import CorrectedReward
from funprm.records import Json

HIDDEN = 8
WEIGHT_LR = 1e-2


class Reweighting(Correction):
    """One weight in (0, 2) per partial program, from |p - r| and r (arXiv 2512.15000).

    A net of two inputs, one hidden layer and 2 sigmoid(output); all weights start at 1. Its
    parameters psi follow the outer loss through sum_i (dL_out/domega_i) omega_i(psi).
    """

    outer_loss = True

    def prepare(self, evidence: Evidence, seed: int) -> None:
        """A fresh net; `seed` is that of its hidden layer."""
        self._evidence = evidence
        self._net = _fresh_net(seed)
        self._optimizer = torch.optim.Adam(self._net.parameters(), lr=WEIGHT_LR)
        self.value = torch.ones(len(evidence))
        """The weight that each row had when it was last fitted."""

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Omega of each row, [R]."""
        with torch.no_grad():
            return self._omega(logits, batch.targets).to(logits)

    def update(self, step: CorrectionBatch) -> None:
        """One step of psi down the outer loss; keeps the weights that partial programs had."""
        omega = self._omega(step.logits, step.rewards)
        self.value[step.rows.cpu()] = omega.detach().to(self.value)
        self._optimizer.zero_grad()
        torch.autograd.backward((step.weight_gradient().cpu() * omega).sum())
        self._optimizer.step()

    def records(self) -> Iterator[CorrectedReward]:
        """The weights that rows had in the end."""
        return self._evidence.records(weights=self.value.tolist())

    def _omega(self, logits: Tensor, rewards: Tensor) -> Tensor:
        gap = (logits.sigmoid() - rewards).abs()
        inputs = torch.stack([gap, rewards], 1).to(next(self._net.parameters()))
        omega: Tensor = 2 * self._net(inputs).sigmoid()
        return omega.squeeze(1)

    def state(self) -> dict[str, Json]:
        """All that changes, for `restore`."""
        return {
            "net": {name: t.clone() for name, t in self._net.state_dict().items()},
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
            "value": self.value.clone(),
        }

    def restore(self, state: Mapping[str, Json]) -> None:
        """Continues where `state` was taken."""
        self._net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.value = state["value"].clone()


def _fresh_net(seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    first, last = nn.Linear(2, HIDDEN), nn.Linear(HIDDEN, 1)
    with torch.no_grad():
        first.weight.normal_(generator=generator)
        first.bias.zero_()
        last.weight.zero_()
        last.bias.zero_()
    return nn.Sequential(first, nn.Tanh(), last)
