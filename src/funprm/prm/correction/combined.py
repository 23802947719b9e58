"""What corrects the labels of partial programs: learned rewards, learned weights, or both."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from funprm.prm.batches import CLEAN, Batch
from funprm.prm.correction.moment import Moment
from funprm.prm.correction.reward_table import RewardTable
from funprm.prm.correction.reweighting import Reweighter
from funprm.records import Json


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

    def update(self, moment: Moment) -> None:
        """Moves rewards and weights of the partial programs among the rows down the outer loss."""
        partial = moment.rows != CLEAN
        if not bool(partial.any()):
            return
        moment = Moment(*(getattr(moment, name)[partial] for name in Moment.__slots__))
        if self.reweighter is not None:
            self.reweighter.update(moment)
        if self.table is not None:
            self.table.update(moment.rows, moment.gradient, moment.occurrences)


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
