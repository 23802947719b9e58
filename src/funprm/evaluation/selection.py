"""Best-of-N: which of a problem's candidate programs to return, by many selectors.

A selector is a pure function of the candidates and a random generator. Equal candidates are told
apart at random, never by position, so a selector knows nothing of the order of sampling.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from random import Random

import numpy as np
from numpy.typing import ArrayLike, NDArray

from funprm.errors import ConfigError, DataError, nearest

Value = Callable[["Candidate"], float | None]
"""A candidate's own worth, greater is better; None where the needed information is missing."""

Aggregator = Callable[[Sequence[float]], float]
"""Step scores of one program to one number, as in `rewards`."""

PUBLIC = "public_tests"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One of N programs for a problem, with everything that selectors may look at."""

    generation: str
    """Key of the generation."""
    index: int = 0
    """Number of the sample; no selector looks at it."""
    code: str = ""
    passed: bool | None = None
    """The hidden verdict; None: not judged. Only `oracle` looks at it."""
    public_passed: float | None = None
    """Share of the public tests passed, in [0, 1]; None: no public tests."""
    outputs: tuple[str, ...] | None = None
    """Digest of the output per probe input; empty string: the program failed there."""
    logprob: float | None = None
    """Sum of the tokens' log-probabilities."""
    logprob_tokens: int = 0
    """Number of these tokens; 0: unknown."""
    self_certainty: float | None = None
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Step scores in [0, 1] by reward model; empty or absent: the program did not fit."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Chooses the candidate of greatest worth.

    Candidates whose information is missing rank last. Where it is missing for all, the choice is
    random; `informed` tells, so that it can be counted.
    """

    name: str
    value: Value | None
    """None: candidates are worth what they agree with each other (`majority`)."""
    filtered: bool = False
    """True: only candidates that pass the most public tests are considered."""
    weight: Value | None = None
    """How much a candidate's agreement counts, in [0, 1]; None: as much as any other's."""

    def __call__(self, candidates: Sequence[Candidate], rng: Random) -> int:
        """The position of the chosen candidate.

        Raises:
            DataError: there are no candidates.
        """
        return rng.choice(self.best(candidates))

    def best(self, candidates: Sequence[Candidate]) -> tuple[int, ...]:
        """The positions among which the choice is random: one, unless there are ties.

        Raises:
            DataError: there are no candidates.
        """
        everything = np.arange(len(candidates))[None, :]
        return tuple(np.flatnonzero(_Worth(self, candidates).winners(everything)[0]).tolist())

    def informed(self, candidates: Sequence[Candidate]) -> bool:
        """False where the needed information is missing, so that the choice is random."""
        return any(self._knows(candidates[i]) for i in self.best(candidates))

    def _knows(self, candidate: Candidate) -> bool:
        if self.value is None:
            weighed = self.weight is None or self.weight(candidate) is not None
            return weighed and any(candidate.outputs or ())
        return self.value(candidate) is not None


def parse_selector(
    name: str, aggregators: Mapping[str, Aggregator], *, default: str = "mean"
) -> Selector:
    """The selector that a name stands for.

    | name | chooses |
    |---|---|
    | `random` | any: its accuracy is pass@1 |
    | `oracle` | one that passes the hidden tests, if there is one: pass@N |
    | `public_tests` | one that passes the most public tests |
    | `majority` | one whose outputs most candidates share (MBR-exec, arXiv 2204.11454) |
    | `majority:MODEL`, `majority:MODEL:AGGREGATOR` | likewise, each counted by its score |
    | `self_certainty` | the greatest self-certainty (arXiv 2502.18581) |
    | `likelihood` | the greatest mean log-probability per token that has one |
    | `score:MODEL`, `score:MODEL:AGGREGATOR` | the greatest aggregated step score |
    | `public_tests+NAME` | NAME's choice among those that pass the most public tests |

    Args:
        name: as above.
        aggregators: by name (`rewards.AGGREGATORS`).
        default: the aggregator of a name that gives none.

    Raises:
        ConfigError: the name stands for nothing; the message names the nearest.

    >>> parse_selector("public_tests+majority", {}).filtered
    True
    """
    filtered = name.startswith(PUBLIC + "+")
    base = name.removeprefix(PUBLIC + "+")
    kind, colon, scores = base.partition(":")
    if colon and kind in ("score", "majority"):
        value = _score_value(base, scores, aggregators, default)
        if kind == "score":
            return Selector(name, value, filtered)
        return Selector(name, None, filtered, _checked_weight(base, value))
    if base not in _VALUES:
        known = [*_VALUES, "score:MODEL", "score:MODEL:AGGREGATOR", "majority:MODEL"]
        raise ConfigError(
            f"unknown selector {name!r}: {nearest(base, known)} (each also as {PUBLIC}+NAME)"
        )
    return Selector(name, _VALUES[base], filtered)


def best_of_n(
    selector: Selector,
    candidates: Sequence[Candidate],
    sizes: Sequence[int],
    *,
    subsets: int = 256,
    seed: int = 0,
) -> tuple[float | None, ...]:
    """Expected accuracy where the selector sees a random subset of n candidates, for each n.

    Exact in closed form for selectors that judge each candidate by itself: a candidate that b
    others beat is the best of n with probability C(M-1-b, n-1) / C(M, n); candidates that tie
    share theirs. For `majority` exact where there are no more than `subsets` subsets, else the
    mean over that many random ones. Random choices among ties enter by their expectation.
    Candidates that were not judged are left out.

    Args:
        selector: the selector.
        candidates: all M candidates of one problem.
        sizes: numbers n of candidates to choose from.
        subsets: how many subsets to look at where there is no closed form.
        seed: of the random subsets.

    Returns:
        One number in [0, 1] per size; None where fewer than n candidates were judged.

    Raises:
        DataError: a size below 1.
    """
    if any(n < 1 for n in sizes):
        raise DataError(f"best-of-N for N in {list(sizes)}: expected sizes of at least 1")
    judged = [c for c in candidates if c.passed is not None]
    if not judged:
        return (None,) * len(sizes)
    worth = _Worth(selector, judged)
    passed = np.array([c.passed for c in judged], dtype=np.float64)

    def expected(n: int) -> float | None:
        if n > len(judged):
            return None
        if worth.agreement is None:
            return expected_choice(worth.order(), passed, n)
        drawn = _subsets(len(judged), n, subsets, np.random.default_rng([seed, n]))
        winners = worth.winners(drawn)
        return float(((winners * passed[drawn]).sum(1) / winners.sum(1)).mean())

    return tuple(expected(n) for n in sizes)


def expected_choice(worth: ArrayLike, outcomes: ArrayLike, size: int) -> float:
    """Expected outcome of the best of `size` programs drawn without replacement, ties split.

    The sum over groups of equal worth of P(the best one is in the group) times the group's mean
    outcome: with b programs below a group of m, [C(b + m, size) - C(b, size)] / C(M, size).

    Args:
        worth: of each program, [M]; greater is better.
        outcomes: of each program, [M] in [0, 1].
        size: number of programs drawn, at most M.

    >>> expected_choice([0.1, 0.9, 0.9], [0, 1, 0], 2)
    0.5
    """
    _, group = np.unique(np.asarray(worth), return_inverse=True)
    counts = np.bincount(group).tolist()
    solved = np.bincount(group, weights=np.asarray(outcomes, dtype=np.float64)).tolist()
    total = math.comb(len(group), size)
    expected, below = 0.0, 0
    for members, good in zip(counts, solved, strict=True):
        chosen = math.comb(below + members, size) - math.comb(below, size)
        expected += chosen / total * (good / members)
        below += members
    return float(min(expected, 1.0))


class _Worth:
    """What a selector knows of the candidates, as arrays.

    `first` [M] decides (public tests, or constant); ties go on to `second` [M], each candidate's
    own value, or, for majority, to the sum of `agreement` [M, M] over the survivors, each counted
    by its `weight` [M].
    """

    def __init__(self, selector: Selector, candidates: Sequence[Candidate]) -> None:
        if not candidates:
            raise DataError("no candidates to choose from: expected at least one program")
        values = [c.public_passed if selector.filtered else 0.0 for c in candidates]
        self.first = _ranked_last(values)
        self.second = np.zeros(len(candidates))
        self.agreement: NDArray[np.int64] | None = None
        if selector.value is None:
            self.agreement = _agreement(candidates)
            weight = selector.weight or (lambda _: 1.0)
            self.weight = np.array([weight(c) or 0.0 for c in candidates])
        else:
            self.second = _ranked_last([selector.value(c) for c in candidates])

    def order(self) -> NDArray[np.int64]:
        """Dense ranks [M] of independent candidates: greater is better, equal is a tie."""
        pairs = np.stack([self.first, self.second], axis=1)
        return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)

    def winners(self, subsets: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Who is best in each subset: positions [S, n] to marks [S, n]."""
        first = self.first[subsets]
        alive = first == first.max(axis=1, keepdims=True)
        if self.agreement is None:
            second = self.second[subsets]
        else:
            pairs = self.agreement[subsets[:, :, None], subsets[:, None, :]]
            second = np.einsum("sij,sj->si", pairs, alive * self.weight[subsets])
        # Not -inf: a survivor without information has that, and still ranks above the dropped.
        top = np.where(alive, second, -np.inf).max(axis=1, keepdims=True)
        marks: NDArray[np.bool_] = alive & (second == top)
        return marks


def _agreement(candidates: Sequence[Candidate]) -> NDArray[np.int64]:
    """How much each pair of candidates agrees [M, M].

    As in MBR-exec two programs agree if their outputs are equal on all inputs, and a failure
    agrees with nothing, not even with the same failure. Ties are broken by the number of inputs
    on which they agree (the soft form of the same loss), for which the hard agreement counts
    more than all soft ones together.
    """
    size = max(len(c.outputs or ()) for c in candidates)
    codes: dict[str, int] = {"": 0}
    table = np.zeros((len(candidates), size), dtype=np.int64)
    for row, candidate in zip(table, candidates, strict=True):
        for i, output in enumerate(candidate.outputs or ()):
            row[i] = codes.setdefault(output, len(codes))
    equal = (table[:, None, :] == table[None, :, :]) & (table > 0)[:, None, :]
    soft = equal.sum(axis=2)
    hard = (soft == size) & (size > 0)
    total: NDArray[np.int64] = hard * (len(candidates) * size + 1) + soft
    return total


def _subsets(m: int, n: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """All subsets of n out of m [S, n], or `most` random ones where there are more."""
    if math.comb(m, n) <= most:
        return np.array(list(combinations(range(m), n)), dtype=np.int64)
    return rng.random((most, m)).argsort(axis=1)[:, :n]


def _ranked_last(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Values [M] with -inf for what is missing or not a number, and for nothing else."""
    filled = np.array([math.nan if v is None else v for v in values], dtype=np.float64)
    return np.where(np.isnan(filled), -np.inf, np.maximum(filled, np.finfo(np.float64).min))


def _checked_weight(base: str, value: Value) -> Value:
    """A score as a weight: logarithms and log-odds are none."""

    def weight(candidate: Candidate) -> float | None:
        found = value(candidate)
        if found is not None and not 0.0 <= found <= 1.0:
            raise DataError(
                f"selector {base!r}: {found:.4g} is no weight in [0, 1]: use the aggregator mean, "
                "last or min"
            )
        return found

    return weight


def _score_value(
    base: str, scores: str, aggregators: Mapping[str, Aggregator], default: str
) -> Value:
    model, colon, how = scores.rpartition(":")
    if not colon:
        model, how = how, default
    if not model:
        raise ConfigError(f"selector {base!r} names no model: expected score:MODEL")
    if how not in aggregators:
        raise ConfigError(f"unknown aggregator {how!r} in {base!r}: {nearest(how, aggregators)}")
    aggregate = aggregators[how]

    def value(candidate: Candidate) -> float | None:
        scores = candidate.scores.get(model)
        return aggregate(scores) if scores else None

    return value


def _likelihood(candidate: Candidate) -> float | None:
    if candidate.logprob is None or not candidate.logprob_tokens:
        return None
    return candidate.logprob / candidate.logprob_tokens


_VALUES: dict[str, Value | None] = {
    "random": lambda _: 0.0,
    "oracle": lambda c: None if c.passed is None else float(c.passed),
    PUBLIC: lambda c: c.public_passed,
    "majority": None,
    "self_certainty": lambda c: c.self_certainty,
    "likelihood": _likelihood,
}
