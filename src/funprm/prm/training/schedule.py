"""Which phases a model trains in, on which examples, and how fast.

| labels, correction | phases |
|---|---|
| outcome | main: outcomes of train programs, and the clean ones of meta programs |
| steps | warm-up: all steps of train programs; main: the same, clean outcomes beside each batch |
| steps, with an outer loss | warm-up; correct: rewards or weights move as the model is fitted to
  them alone; main, again from the end of the warm-up: what was learned, clean outcomes beside it |

Without `clean_outcomes` nothing is fitted beside. A correction without an outer loss acts from the
first step on, one with an outer loss after the warm-up.

An epoch is the same number of optimiser steps for every model, (train + meta programs) / batch,
and warm-up and main together last `epochs`; the warm-up on rewards as measured is the same for all
models that have one, and can be shared through `init`. Outcomes of meta programs come on top of a
batch of steps, as many as keep their proportion: so all models see the same partial programs
equally often, and differ in what else they were fitted to alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from funprm.config import TrainConfig
from funprm.errors import TrainingError
from funprm.prm.batches import Example, Labels, Pool, examples_of
from funprm.prm.rendering import Encoded
from funprm.records import LabelledProgram

Rendered = Sequence[tuple[LabelledProgram, Encoded]]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training on one pool of examples."""

    name: str
    steps: int
    first: int
    """Position in the learning-rate schedule of its first step."""
    pool: Pool
    validated: bool
    beside: Pool | None = None
    """Examples that come on top of each batch."""
    pairwise: float = 0.0
    """Weight of the pairwise loss."""
    outer: Pool | None = None
    """Clean outcomes that drive the correction."""

    def batch(self, step: int) -> list[Example]:
        """The examples of optimiser step `step`."""
        return self.pool.batch(step) + (self.beside.batch(step) if self.beside else [])


@dataclass(frozen=True, slots=True)
class Plan:
    """The phases of a training, in their order."""

    phases: Sequence[Phase]
    epoch: int
    """Optimiser steps of an epoch, the same for every model."""
    steps: int
    """Optimiser steps of the learning-rate schedule: warm-up and main."""


def plan(
    config: TrainConfig,
    rows: Mapping[str, int],
    programs: Rendered,
    outcomes: Rendered,
    *,
    outer_loss: bool,
) -> Plan:
    """The phases of a model.

    Args:
        config: labels, sizes, seed.
        rows: prefix key to row of the evidence.
        programs: of the train problems.
        outcomes: programs of the meta problems with known outcomes.
        outer_loss: whether a correction follows it.

    Raises:
        TrainingError: nothing to learn from.
    """
    together = config.pairwise > 0
    # The pairwise loss needs the scores of all steps that make a program's.
    whole = together and not config.outcome_only
    labels: Labels = "outcome" if config.outcome_only else "all"
    steps = examples_of(programs, rows, labels=labels, whole=whole)
    clean = examples_of(outcomes, {}, labels="outcome", whole=whole)
    _require_labels(steps, clean if config.clean_outcomes else [])
    size = config.batch * config.accumulate
    epoch = -(-(len(steps) + len(clean)) // size)
    total = max(1, round(config.epochs * epoch))
    seed = 8 * config.seed  # and a stream of its own for every pool
    if config.outcome_only:
        fitted = [*steps, *clean] if config.clean_outcomes else steps
        pool = Pool(fitted, size, seed + 1, together=together)
        return Plan([Phase("main", total, 0, pool, True, pairwise=config.pairwise)], epoch, total)
    first = min(total, round(config.warmup_epochs * epoch))
    warmup = Phase("warmup", first, 0, Pool(steps, size, seed), not config.main_differs)
    phases = [warmup]
    if outer_loss:
        _require_outcomes(clean, config.correction.name)
        # The inner problem is that of partial programs alone: beside their programs' own
        # verdicts, the outer loss would hardly depend on their rewards.
        inner = Pool(examples_of(programs, rows, labels="partial"), size, seed + 2)
        outer = Pool(clean, size, seed + 3)
        phases.append(Phase("correct", total - first, first, inner, False, outer=outer))
    beside = None
    if clean and config.clean_outcomes:
        share = max(1, round(size * len(clean) / len(steps)))
        beside = Pool(clean, share, seed + 4, together=together)
    pool = Pool(steps, size, seed + 1, together=together)
    phases.append(Phase("main", total - first, first, pool, True, beside, config.pairwise))
    return Plan(phases, epoch, total)


def schedule(step: int, total: int) -> float:
    """Learning-rate factor: a short rise, then a straight line down to a tenth."""
    rise = max(1, min(50, total // 20))
    return min(1.0, (step + 1) / rise) * (1 - 0.9 * step / total)


def _require_labels(steps: Sequence[Example], clean: Sequence[Example]) -> None:
    """Refuses what nothing can be learned from."""
    if not steps:
        raise TrainingError("no labelled training program: expected programs with n > 0 verdicts")
    _require_variety([*steps, *clean], "training rewards")


def _require_outcomes(clean: Sequence[Example], correction: str) -> None:
    """Refuses an outer loss that nothing can be learned from."""
    if not clean:
        raise TrainingError(
            f"the meta set is empty: correction {correction!r} needs complete programs of other "
            "problems with known outcomes; set aside some problems as meta"
        )
    _require_variety(clean, "meta outcomes")


def _require_variety(examples: Sequence[Example], noun: str) -> None:
    values = {t for e in examples for t, w in zip(e.targets, e.weights, strict=True) if w}
    if len(values) == 1:
        raise TrainingError(
            f"all {noun} are {values.pop():g}: nothing to learn from; "
            "use problems that the policy sometimes solves"
        )
