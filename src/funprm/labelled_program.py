"""A program with what is known of its steps: what reward models are trained on, and score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledProgram:
    """A program with its evidence, as the reward model is trained on it (not stored).

    All tuples have one entry per step. The last step's evidence is the program's own verdict.
    """

    generation: str
    problem_id: str
    statement: str
    steps: tuple[str, ...]
    prefixes: tuple[str, ...]
    k: tuple[int, ...] = ()
    n: tuple[int, ...] = ()
    rewards: tuple[float | None, ...] | None = None
    """Rewards of another origin than k of n, in [0, 1]; None of a step: it has none. Without any
    the rewards are k/n."""

    @property
    def outcome(self) -> float | None:
        """1.0 if the complete program passed, 0.0 if not, None if it was not judged."""
        return float(self.k[-1]) if self.n and self.n[-1] else None

    def reward(self, step: int) -> float | None:
        """What the reward model is fitted to at a step; None: the step is not labelled."""
        if self.rewards is not None:
            return self.rewards[step]
        return self.k[step] / self.n[step] if self.n and self.n[step] else None

    def with_rewards(self, rewards: Mapping[str, float]) -> "LabelledProgram":
        """The program with rewards by prefix key; its own verdict stays as it is."""
        found = [rewards.get(prefix) for prefix in self.prefixes[:-1]]
        return replace(self, rewards=(*found, self.outcome))
