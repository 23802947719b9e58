"""What scores the programs of one problem: opened before anything is paid for."""

from dataclasses import replace

from funprm.config import RunConfig
from funprm.interfaces import Progress, Scorer
from funprm.records import key_of


class OpenedScorer:
    """What scores programs in place of a reward model of this package.

    Args:
        scorer: a part of the group `funprm.scorers`.
        name: of its kind.
    """

    def __init__(self, scorer: Scorer, name: str = "scorer") -> None:
        self.scorer = scorer
        kind = name.rpartition(":")[2]  # a colon ends a model's name in a selector's
        self.name = f"{kind}-{key_of(dict(scorer.identity()))[:8]}"
        """Of its scores: an output folder may see several models."""

    def cut(self, config: RunConfig, progress: Progress) -> RunConfig:
        """The settings, with programs cut as the model wants them."""
        return config

    def aggregator_for(self, wanted: str) -> str:
        """How step scores are read, where settings want one way."""
        return getattr(self.scorer, "aggregator", "") or wanted


class OpenedPrm(OpenedScorer):
    """A reward model, opened before anything is paid for.

    Args:
        folder: as training writes it.

    Raises:
        ModelError: the folder holds no reward model.
    """

    def __init__(self, folder: str) -> None:
        from funprm.prm.scoring import PrmScorer

        self.prm = PrmScorer(folder)
        super().__init__(self.prm, "prm")
        self.folder, self.reading = folder, self.prm.reading

    def cut(self, config: RunConfig, progress: Progress) -> RunConfig:
        """The settings, with programs cut as the model was trained; says so where that differs."""
        wanted, trained = config.rollout.max_steps, self.reading.max_steps
        if trained == wanted:
            return config
        progress.start("prm", 0)
        if trained is None:
            progress.finish(
                f"{self.folder} does not say into how many steps its programs were cut at most; "
                f"rollout.max_steps = {wanted} is used"
            )
            return config
        progress.finish(
            f"programs are cut into at most {trained or 'any number of'} steps, as {self.folder} "
            f"was trained; rollout.max_steps = {wanted} is not used"
        )
        return replace(config, rollout=replace(config.rollout, max_steps=trained))

    def aggregator_for(self, wanted: str) -> str:
        """As training says it of outcome models."""
        return self.reading.aggregator_for(wanted)
