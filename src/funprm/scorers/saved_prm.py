"""A reward model that training wrote, as a scorer: opened when its first program is scored."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from funprm.prm.identity import scorer_identity
from funprm.records import Json, LabelledProgram


class SavedPrm:
    """Step scores by a folder that training wrote (`runs/demo/prm/funprm/model`).

    Args:
        folder: the model's folder.
        device: auto, cpu, cuda, cuda:1, ...
        batch_tokens: bound on a batch's tokens; 0: what suits the device.
        precision: fp32 or bf16.
    """

    transport: ClassVar[frozenset[str]] = frozenset({"device", "batch_tokens"})

    def __init__(
        self, folder: str, device: str = "auto", batch_tokens: int = 0, precision: str = "fp32"
    ) -> None:
        self._folder = Path(folder).expanduser()
        self._how = device, batch_tokens, precision

    @property
    def aggregator(self) -> str:
        """`last` of an outcome model; empty of others, which settings may read as they want."""
        from funprm.prm.models.opening import read_settings
        from funprm.prm.reading import reading_of

        return reading_of(read_settings(self._folder), self._folder).aggregator_for("")

    def identity(self) -> Mapping[str, Json]:
        """Fingerprint of weights and tokenizer, precision, and rendering."""
        return scorer_identity(self._folder, self._how[2])

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        """Step scores, as `prm.scoring.PrmScorer` gives them.

        Raises:
            ModelError: the folder holds no reward model of this package.
        """
        from funprm.prm.scoring import PrmScorer

        return PrmScorer(self._folder, *self._how).score(programs)
