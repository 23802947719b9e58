"""What a correction is told of an inner step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from funprm.prm.correction.hypergradient import weight_gradient
from funprm.prm.distributed import Ranks


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
