"""How a reward model wants to be read: what it takes for a step, and which scores count.

It is stored in the model's folder (`funprm.json`, key `reading`), so that programs are cut in
use as they were in training.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from funprm.errors import ModelError
from funprm.evaluation.aggregation import AGGREGATORS
from funprm.records import Json
from funprm.steps import STEP_RULE

_OLDER = {"orm": "last"}
"""Aggregators of older versions' modes, others than the mean."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a model's step scores mean."""

    rule: int = STEP_RULE
    """`steps.STEP_RULE` at the time of training."""
    max_steps: int | None = None
    """The cap that programs were cut with, 0: none; None: unknown (folders of older versions)."""
    aggregator: str = "mean"
    """Of the validation that chose the checkpoint."""

    def aggregator_for(self, wanted: str) -> str:
        """The aggregator where settings want one: theirs, but for an outcome model."""
        return self.aggregator if self.aggregator == "last" else wanted

    def settings(self) -> Mapping[str, Json]:
        """What is stored."""
        return asdict(self)


def reading_of(settings: Mapping[str, Json], where: object) -> Reading:
    """The reading that a model's folder stores.

    Folders of older versions store none: their steps are by rule 1, their cap is unknown, and the
    mode of training, a setting of that time, tells the aggregator.

    Args:
        settings: what the folder's `funprm.json` holds.
        where: the folder, for messages.

    Raises:
        ModelError: what is stored is damaged, or its steps are not those of this version.
    """
    older = {"rule": 1, "aggregator": _OLDER.get(str(settings.get("mode")), "mean")}
    try:
        reading = Reading(**settings.get("reading", older))
        cap = reading.max_steps
        known = reading.aggregator in AGGREGATORS and (
            cap is None or (type(cap) is int and cap >= 0)
        )
    except TypeError:
        known = False
    if not known:
        raise ModelError(
            f"{where}: `reading` is damaged: expected rule, max_steps and aggregator; train again"
        )
    if reading.rule != STEP_RULE:
        raise ModelError(
            f"{where} was trained on steps by rule {reading.rule}, this version cuts programs by "
            f"rule {STEP_RULE}: train again, or use the version that trained it"
        )
    return reading
