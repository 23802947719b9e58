"""What a correction is: rewards and weights of partial programs, as training fits them.

A correction of one's own derives from `Correction`, whose methods change nothing, and overrides
what it is about. Entry-point group `funprm.corrections`; its constructor's arguments are the other
keys of the setting `correction`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from funprm import registry
from funprm.config import TrainConfig
from funprm.prm.batches import CLEAN, Batch
from funprm.prm.correction.hypergradient import weight_gradient
from funprm.prm.distributed import ProcessGroup
from funprm.prm.records import CorrectedReward
from funprm.records import Json, LabelledProgram

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of each labelled partial program; a row each, all [rows]."""

    prefixes: Sequence[str]
    """Keys, one per distinct beginning of a training program."""
    k: Floats
    """Passed completions."""
    n: Floats
    """Judged completions, at least 1."""
    passed: Floats
    """c: sampled programs with this beginning that passed."""
    programs: Floats
    """m: sampled programs with this beginning that were judged."""

    @classmethod
    def of(cls, programs: Iterable[LabelledProgram]) -> "Evidence":
        """The evidence of training programs; of a prefix measured twice the larger n counts."""
        programs = list(programs)
        rows: dict[str, list[float]] = {}
        for program in programs:
            for prefix, k, n in zip(program.prefixes[:-1], program.k, program.n, strict=False):
                if n > rows.get(prefix, (0, 0))[1]:
                    rows[prefix] = [k, n, 0, 0]
        for program in programs:
            for prefix in program.prefixes[:-1] if program.outcome is not None else ():
                if prefix in rows:
                    rows[prefix][2] += program.outcome or 0.0
                    rows[prefix][3] += 1
        columns = np.array(list(rows.values()), dtype=np.float64).reshape(-1, 4).T
        return cls(list(rows), *columns)

    def __len__(self) -> int:
        return len(self.prefixes)

    @property
    def measured(self) -> Floats:
        """The rewards k/n."""
        return self.k / self.n

    @property
    def rows(self) -> dict[str, int]:
        """Row of each prefix."""
        return {prefix: row for row, prefix in enumerate(self.prefixes)}

    def records(
        self, rewards: Sequence[float] | None = None, weights: Sequence[float] | None = None
    ) -> Iterator[CorrectedReward]:
        """One per partial program; rewards as measured, and weights 1, where none are given."""
        for row, prefix in enumerate(self.prefixes):
            k, n = int(self.k[row]), int(self.n[row])
            yield CorrectedReward(
                prefix=prefix,
                k=k,
                n=n,
                reward=k / n if rewards is None else float(rewards[row]),
                weight=1.0 if weights is None else float(weights[row]),
            )


@dataclass(frozen=True, slots=True)
class CorrectionBatch:
    """The partial programs of one inner step and what the outer loss says of them; all [R]."""

    rows: Tensor
    """Row of each in the evidence; a row may occur more than once."""
    rewards: Tensor
    """As they were fitted."""
    logits: Tensor
    """z before the step; the score is sigmoid(z)."""
    occurrences: Tensor
    """How many identical programs each stands for."""
    weights: Tensor
    """Occurrences times learned weight."""
    gradient: Tensor
    """dL_out/dr_i: by how much the outer loss grows with the reward."""

    def of_all(self, ranks: ProcessGroup) -> "CorrectionBatch":
        """The rows of all ranks, the same on each."""
        if ranks.size == 1:
            return self
        columns = [getattr(self, field.name).double() for field in fields(self)]
        rows, *others = ranks.gather(torch.stack(columns, 1)).unbind(1)
        return CorrectionBatch(rows.long(), *others)

    def partial(self) -> "CorrectionBatch":
        """Without the rows of clean labels."""
        kept = self.rows != CLEAN
        return CorrectionBatch(*(getattr(self, field.name)[kept] for field in fields(self)))

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


class Correction:
    """Corrects nothing: rewards are fitted as they were measured.

    Rows of clean labels (a program's own verdict) keep reward and weight whatever a correction
    says of them: `fitted` and `weighted` see to it.
    """

    outer_loss: ClassVar[bool] = False
    """Whether it follows the outer loss. Then training needs meta programs, warms up on rewards as
    measured, calls `update` after every step of a phase `correct`, and starts the main phase from
    the warm-up again. Otherwise the correction acts from the first step on."""

    def prepare(self, evidence: Evidence, seed: int) -> Floats | None:
        """Called once, before the first step.

        Args:
            evidence: what is known of every labelled partial program.
            seed: of the training.

        Returns:
            Rewards in [0, 1] that are fitted in place of those measured, [rows]; None: as
            measured. With an outer loss: None.

        Raises:
            TrainingError: the evidence is not what the correction needs.
        """
        return None

    def rewards(self, batch: Batch) -> Tensor:
        """Rewards in [0, 1] to fit, [R].

        Args:
            batch: its `rows` are rows of the evidence, its `targets` the rewards so far.
        """
        return batch.targets

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Weight of each row beside its occurrences, above 0, [R].

        Args:
            logits: z of the step, [R].
            batch: its `targets` are the rewards that are fitted.
        """
        return torch.ones_like(batch.weights)

    def update(self, step: CorrectionBatch) -> None:
        """Moves rewards or weights down the outer loss; only with `outer_loss`.

        Args:
            step: at least one partial program; the same on every rank.
        """

    def state(self) -> Mapping[str, Json]:
        """All that `update` changes: tensors, and what JSON can hold."""
        return {}

    def restore(self, state: Mapping[str, Json]) -> None:
        """Continues where `state` was taken, after `prepare`."""

    def records(self) -> Iterable[CorrectedReward]:
        """What `update` has learned, see `Evidence.records`; only with `outer_loss`."""
        return ()

    def diagnostics(self) -> Mapping[str, Json]:
        """Numbers about the correction, for the curves and `result.json`."""
        return {}


def correction_class(config: TrainConfig) -> type[Correction]:
    """The class of a model's correction.

    Raises:
        ConfigError: there is none of that name.
    """
    if not config.corrects:
        return Correction
    found: type[Correction] = registry.component("corrections", config.correction.name)
    return found


def build_correction(config: TrainConfig) -> Correction:
    """A model's correction, before `prepare`.

    Raises:
        ConfigError: an unknown name or option, or a value of the wrong type.
    """
    if not config.corrects:
        return Correction()
    name, options = config.correction.name, config.correction.options
    correction: Correction = registry.build("corrections", name, options)
    return correction


def fitted(correction: Correction, batch: Batch) -> Batch:
    """The batch with the rewards that are fitted for targets; clean ones stay."""
    rewards = correction.rewards(batch).to(batch.targets)
    return replace(batch, targets=torch.where(batch.rows == CLEAN, batch.targets, rewards))


def weighted(correction: Correction, logits: Tensor, batch: Batch) -> Tensor:
    """Occurrences times learned weight of each row, [R]; clean ones have weight 1."""
    learned = correction.weights(logits, batch).to(batch.weights)
    return batch.weights * torch.where(batch.rows == CLEAN, 1.0, learned)
