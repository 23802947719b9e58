"""Where a training stands: one frozen value that goes into the loop and comes out of it.

Parameters, the optimiser and the correction are kept by those who change them; a checkpoint holds
theirs and this.
"""

from dataclasses import dataclass, replace
from typing import Self

import msgspec

from funprm.prm.records import CurvePoint, Validation


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The weights that are kept so far."""

    step: int
    """Optimiser step, warm-up included."""
    terms: tuple[float, ...]
    """The criterion of the best weights so far, by validation problem."""
    validation: Validation | None
    """Of the kept weights; None without validation problems."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingState:
    """What the loop knows after some steps."""

    phase: int = 0
    """Number of the phase in the plan."""
    step: int = 0
    """Optimiser steps done in it."""
    losses: tuple[float, ...] = ()
    """Since the last point of the curves."""
    outer_losses: tuple[float, ...] = ()
    curves: tuple[CurvePoint, ...] = ()
    best: Best | None = None
    tokens: int = 0
    """Of all forward passes, without padding."""
    seconds: float = 0.0
    """Of earlier calls."""

    def stepped(self, loss: float, outer_loss: float | None, tokens: int) -> Self:
        """After one optimiser step more."""
        outer = () if outer_loss is None else (outer_loss,)
        return replace(
            self,
            step=self.step + 1,
            losses=(*self.losses, loss),
            outer_losses=self.outer_losses + outer,
            tokens=self.tokens + tokens,
        )

    def recorded(self, point: CurvePoint, best: Best | None) -> Self:
        """With one point of the curves more, which holds the losses since the last one."""
        return replace(self, losses=(), outer_losses=(), curves=(*self.curves, point), best=best)

    def entered(self, phase: int) -> Self:
        """At the begin of a phase."""
        return replace(self, phase=phase, step=0)

    def encode(self) -> bytes:
        """JSON, for a checkpoint."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """What `encode` gave."""
        return msgspec.json.decode(text, type=cls)
