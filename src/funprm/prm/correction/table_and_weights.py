"""Learned rewards and learned weights together."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from funprm.prm.batches import Batch
from funprm.prm.correction.base import Correction, CorrectionBatch, Evidence
from funprm.prm.correction.reward_table import RewardTable
from funprm.prm.correction.reweighting import Reweighting
from funprm.prm.records import CorrectedReward
from funprm.records import Json


class TableAndWeights(Correction):
    """`RewardTable` and `Reweighting` on the same batches; each has its own part of a step.

    Args:
        lr: of the table.
        prior: of the table.
    """

    outer_loss = True

    def __init__(self, lr: float = 0.05, prior: float = 0.1) -> None:
        self._table, self._weights = RewardTable(lr, prior), Reweighting()

    def prepare(self, evidence: Evidence, seed: int) -> None:
        """Starts both."""
        self._evidence = evidence
        self._table.prepare(evidence, seed)
        self._weights.prepare(evidence, seed)

    def rewards(self, batch: Batch) -> Tensor:
        """The table's."""
        return self._table.rewards(batch)

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """The net's."""
        return self._weights.weights(logits, batch)

    def update(self, step: CorrectionBatch) -> None:
        """Moves both; neither sees the other's move."""
        self._weights.update(step)
        self._table.update(step)

    def state(self) -> Mapping[str, Json]:
        """Of both."""
        return {"table": self._table.state(), "weights": self._weights.state()}

    def restore(self, state: Mapping[str, Json]) -> None:
        """Continues both."""
        self._table.restore(state["table"])
        self._weights.restore(state["weights"])

    def records(self) -> Iterator[CorrectedReward]:
        """The table's rewards with the net's weights."""
        return self._evidence.records(self._table.value.tolist(), self._weights.value.tolist())

    def diagnostics(self) -> Mapping[str, Json]:
        """The table's."""
        return self._table.diagnostics()
