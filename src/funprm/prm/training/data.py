"""The programs that a reward model is trained on; no problem is in two of their sets."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from funprm.errors import TrainingError
from funprm.records import LabelledProgram


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a reward model is trained on. No problem may be in two of the three sets."""

    train: Sequence[LabelledProgram]
    """Programs whose steps have Monte-Carlo evidence k, n."""
    meta: Sequence[LabelledProgram] = ()
    """Complete programs of other problems; only their outcome is used."""
    validation: Sequence[LabelledProgram] = ()
    """Programs, several per problem, on which the checkpoint is chosen."""
    max_steps: int | None = None
    """The cap that all programs were cut with (`steps.find_steps`), 0: none; None: unknown."""

    def check(self) -> None:
        """Refuses sets that share a problem.

        Raises:
            TrainingError: a problem id, or one program of one statement, is in two sets.
        """
        sets = {"train": self.train, "meta": self.meta, "validation": self.validation}
        _refuse_shared(sets, lambda p: p.problem_id, "problem")
        _refuse_shared(sets, lambda p: (p.statement, p.steps), "program")


def _refuse_shared(
    sets: Mapping[str, Sequence[LabelledProgram]],
    identify: Callable[[LabelledProgram], Hashable],
    noun: str,
) -> None:
    owners: dict[Hashable, tuple[str, str]] = {}
    for name, programs in sets.items():
        for program in programs:
            identity = identify(program)
            owner, first = owners.setdefault(identity, (name, program.generation))
            if owner != name:
                raise TrainingError(
                    f"one {noun} is in both {owner} (generation {first}) and {name} (generation "
                    f"{program.generation}): splits must be by problem; give each to one set"
                )


def known_outcomes(programs: Iterable[LabelledProgram]) -> list[LabelledProgram]:
    """The programs whose own verdict is known."""
    return [program for program in programs if program.outcome is not None]
