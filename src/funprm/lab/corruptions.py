"""Known corruptions of Monte-Carlo rewards, each with a strength.

| name | rewards are measured with | bias |
|---|---|---|
| `rollouts:K` | the first K completions of the policy | none: sampling noise alone |
| `hot` | completions of the policy at a higher temperature | completer weaker than the policy |
| `early` | completions of an early checkpoint of the policy | completer much weaker |
| `lost:F` | the policy's; a share F of all verdicts is counted as failure | a broken judge |
| `flipped:F` | the policy's; k and n - k of a share F of prefixes change places | a mix-up |

`hot`, `early`, `lost` and `flipped` use `BIASED_ROLLOUTS` completions.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from funprm.errors import ConfigError, nearest
from funprm.lab.world import POLICY, LabData
from funprm.records import LabelledProgram

BIASED_ROLLOUTS = 8

STANDARD = (
    "rollouts:16",
    "rollouts:4",
    "rollouts:2",
    "rollouts:1",
    "hot",
    "early",
    "lost:0.25",
    "lost:0.5",
    "flipped:0.1",
    "flipped:0.2",
)

Evidence = Mapping[str, tuple[int, int]]
"""Passed and judged completions by prefix key."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way in which rewards come about.

    Args:
        text: name and strength, such as `lost:0.25`.
    """

    text: str
    name: str
    strength: float

    @property
    def biased(self) -> bool:
        """Whether rewards have another mean than the truth."""
        return self.name != "rollouts"

    def evidence(self, world: LabData) -> dict[str, tuple[int, int]]:
        """The corrupted evidence of all train prefixes; the same at every call."""
        completer = self.name if self.name in ("hot", "early") else POLICY
        found = {}
        for prefix, outcomes in world.rollouts[completer].items():
            seen = outcomes[: int(self.strength) if not self.biased else BIASED_ROLLOUTS]
            seen = seen.replace("-", "")
            rng = random.Random(f"{world.seed} {self.text} {prefix}")
            found[prefix] = (_passed(self.name, self.strength, seen, rng), len(seen))
        return found

    def programs(self, world: LabData) -> list[LabelledProgram]:
        """The train programs, labelled with the corrupted evidence."""
        return relabelled(world.programs["train"], self.evidence(world))


def _passed(name: str, strength: float, seen: str, rng: random.Random) -> int:
    if name == "lost":
        return sum(o == "1" and rng.random() >= strength for o in seen)
    if name == "flipped" and rng.random() < strength:
        return seen.count("0")
    return seen.count("1")


def relabelled(programs: Sequence[LabelledProgram], evidence: Evidence) -> list[LabelledProgram]:
    """Programs with other evidence for all steps but the last; none where it is missing."""
    found = []
    for program in programs:
        pairs = [evidence.get(prefix, (0, 0)) for prefix in program.prefixes[:-1]]
        k, n = [k for k, _ in pairs], [n for _, n in pairs]
        found.append(replace(program, k=(*k, program.k[-1]), n=(*n, program.n[-1])))
    return found


def _share(value: float) -> bool:
    return 0 < value < 1


_CHECKS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "rollouts": (lambda value: value >= 1 and value == int(value), "a whole number from 1"),
    "lost": (_share, "a share between 0 and 1"),
    "flipped": (_share, "a share between 0 and 1"),
}


def parse_corruption(text: str) -> Corruption:
    """A corruption by name and strength.

    Raises:
        ConfigError: there is none of that name, or its strength is missing or out of range.

    >>> parse_corruption("lost:0.25").strength
    0.25
    """
    name, colon, strength = text.partition(":")
    if name in ("hot", "early") and not colon:
        return Corruption(text, name, 0.0)
    if name not in _CHECKS:
        known = [*_CHECKS, "hot", "early"]
        raise ConfigError(f"corruption {text!r} is unknown: {nearest(name, known)}")
    valid, expected = _CHECKS[name]
    try:
        value = float(strength)
    except ValueError:
        value = float("nan")
    if not valid(value):
        raise ConfigError(f"corruption {text!r}: expected {name}: with {expected}")
    return Corruption(text, name, value)
