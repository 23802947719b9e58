"""What corrects the labels of partial programs: learned rewards, learned weights, or both."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from funprm.prm.batches import CLEAN, Batch
from funprm.prm.correction.hypergradient import weight_gradient
from funprm.prm.correction.reward_table import RewardTable
from funprm.prm.distributed import Ranks
from funprm.records import Json

HIDDEN = 8
WEIGHT_LR = 1e-2


class Reweighter:
    """One weight in (0, 2) per partial program, from |p - r| and r (arXiv 2512.15000).

    A net of two inputs, one hidden layer and 2 sigmoid(output); all weights start at 1. Its
    parameters psi follow the outer loss through sum_i (dL_out/domega_i) omega_i(psi).

    Args:
        rows: number of partial programs.
        seed: of the hidden layer.
    """

    def __init__(self, rows: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        first, last = nn.Linear(2, HIDDEN), nn.Linear(HIDDEN, 1)
        with torch.no_grad():
            first.weight.normal_(generator=generator)
            first.bias.zero_()
            last.weight.zero_()
            last.bias.zero_()
        self._net = nn.Sequential(first, nn.Tanh(), last)
        self._optimizer = torch.optim.Adam(self._net.parameters(), lr=WEIGHT_LR)
        self.value = torch.ones(rows)
        """The weight that each row had when it was last fitted."""

    def weights(self, logits: Tensor, rewards: Tensor, rows: Tensor) -> Tensor:
        """Omega of each row, [R]; 1 for clean labels."""
        with torch.no_grad():
            omega = self._omega(logits, rewards).to(logits)
        return torch.where(rows != CLEAN, omega, 1.0)

    def update(self, moment: "Moment") -> None:
        """One step of psi down the outer loss; keeps the weights that partial programs had."""
        omega = self._omega(moment.logits, moment.rewards)
        self.value[moment.rows.cpu()] = omega.detach().to(self.value)
        self._optimizer.zero_grad()
        torch.autograd.backward((moment.weight_gradient().cpu() * omega).sum())
        self._optimizer.step()

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


@dataclass(frozen=True, slots=True)
class Correction:
    """The parts that a mode uses, as one."""

    table: RewardTable | None
    reweighter: Reweighter | None

    def rewards(self, batch: Batch) -> Tensor:
        """R of each row, [R]: the learned one where there is one."""
        if self.table is None:
            return batch.targets
        return self.table.targets(batch.targets, batch.rows)

    def weights(self, logits: Tensor, rewards: Tensor, batch: Batch) -> Tensor:
        """Occurrences times learned weight of each row, [R]."""
        if self.reweighter is None:
            return batch.weights
        return batch.weights * self.reweighter.weights(logits, rewards, batch.rows)

    def update(self, moment: "Moment") -> None:
        """Moves rewards and weights of the partial programs among the rows down the outer loss."""
        partial = moment.rows != CLEAN
        if not bool(partial.any()):
            return
        moment = Moment(*(getattr(moment, name)[partial] for name in Moment.__slots__))
        if self.reweighter is not None:
            self.reweighter.update(moment)
        if self.table is not None:
            self.table.update(moment.rows, moment.gradient, moment.occurrences)


@dataclass(frozen=True, slots=True)
class Moment:
    """The rows of one inner step, all [R]."""

    rows: Tensor
    rewards: Tensor
    logits: Tensor
    occurrences: Tensor
    weights: Tensor
    """Occurrences times learned weight."""
    gradient: Tensor
    """dL_out/dr_i."""

    def of_all(self, ranks: Ranks) -> "Moment":
        """The rows of all ranks, the same on each."""
        if ranks.size == 1:
            return self
        columns = [getattr(self, name).double() for name in Moment.__slots__]
        rows, *others = ranks.gather(torch.stack(columns, 1)).unbind(1)
        return Moment(rows.long(), *others)

    def weight_gradient(self) -> Tensor:
        """dL_out/domega_i, centred twice over the rows.

        The mean hypergradient is taken off as for rewards: a difference in base rate between
        train and meta problems is no reason to trust rows that differ from the model in one
        direction. The mean of the result is taken off because weights are relative: how much
        partial programs count beside complete ones is not for the net to decide.
        """
        ones = torch.ones_like(self.gradient)
        unit = self._centred(self.gradient / self.weights)
        found = weight_gradient(unit, self.logits, self.rewards, ones)
        return self.occurrences * self._centred(found)

    def _centred(self, values: Tensor) -> Tensor:
        return values - (self.occurrences * values).sum() / self.occurrences.sum()


def records(table: RewardTable, correction: Correction) -> Iterable[dict[str, Json]]:
    """Per prefix: key, k, n, the reward fitted in the end, and its weight."""
    fitted = correction.table.value.tolist() if correction.table else None
    weights = correction.reweighter.value.tolist() if correction.reweighter else None
    for prefix, row in table.rows.items():
        k, n = table.evidence[row]
        yield {
            "prefix": prefix,
            "k": k,
            "n": n,
            "reward": fitted[row] if fitted else k / n,
            "weight": weights[row] if weights else 1.0,
        }
