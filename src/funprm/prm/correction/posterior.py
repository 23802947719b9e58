"""Rewards as posterior means: what completions and clean outcomes say together.

The value V of a prefix, the chance that the policy completes it to a passing program, is never
seen. Two measurements depend on it:

- k of n completions passed, by a completer that may be biased: k ~ BetaBinomial(n, rho(V), t)
  with rho(V) = low + (high - low) V^gamma, or with probability eps the same of n - k;
- c of the m sampled programs that begin with the prefix passed: c ~ Binomial(m, V). These are
  clean: they are completions of the prefix by the policy itself.

V lives on a grid with a prior w of its own. Channel and prior maximise the likelihood of all
(k, c); a weak penalty holds the channel near the identity (low = eps = 0, high = gamma = 1, 1/t
small), which is the case of unbiased completions, and w smooth (empirical Bayes by g-modelling,
Efron 2016, Biometrika 103). A corrected reward is E[V | k, c].

A free reward per prefix would have to be learned from a handful of outcomes; here all outcomes
together determine five numbers and a smooth curve.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from funprm.disk import write_atomically
from funprm.errors import TrainingError
from funprm.prm.folder import write_jsonl
from funprm.records import Json, LabelledProgram

Floats = NDArray[np.float64]

GRID = 41
STEPS = 60
"""Iterations of the quasi-Newton optimiser at most."""

ROUGHNESS = 1.0
"""Weight of the squared differences of neighbouring log w."""

PULL = 0.5
"""Weight of the squared distance of the channel's parameters from the identity."""

PARTS = 1_000_000
"""A corrected reward r is handed on as round(r PARTS) passes of PARTS completions."""

IDENTITY = torch.tensor([-4.0, -4.0, 0.0, -4.0, -3.0], dtype=torch.float64)
"""Parameters of a channel without bias: see `_Model._channel`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of each prefix; all [R]."""

    k: Floats
    """Passed completions."""
    n: Floats
    """Judged completions, at least 1."""
    passed: Floats
    """c: sampled programs with this beginning that passed."""
    programs: Floats
    """m: sampled programs with this beginning that were judged."""


@dataclass(frozen=True, slots=True)
class Channel:
    """How completions relate to the value, as it was fitted."""

    low: float
    """Pass rate of completions at V = 0, in [0, 1/2]."""
    high: float
    """Pass rate at V = 1, in [0, 1]."""
    gamma: float
    """Exponent between the two, above 0."""
    swapped: float
    """eps: share of prefixes whose passes and failures changed places, in [0, 1/2]."""
    spread: float
    """1/t: overdispersion; 0: completions of a prefix are independent."""


class _Model:
    """The joint likelihood on the grid; distinct measurements are computed once."""

    def __init__(self, evidence: Evidence) -> None:
        columns = (evidence.k, evidence.n, evidence.passed, evidence.programs)
        table = torch.from_numpy(np.stack(columns, 1).astype(np.float64))
        rows, self._inverse, counts = torch.unique(
            table, dim=0, return_inverse=True, return_counts=True
        )
        self._k, self._n, self._passed, self._programs = rows.split(1, dim=1)
        self._counts = counts.double()
        # Cells of equal width in arcsine scale: fine near 0 and 1, where most values are.
        cells = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
        self._values = torch.sin(cells * torch.pi / 2).square()
        self.parameters = torch.cat([torch.zeros(GRID, dtype=torch.float64), IDENTITY])
        self.parameters.requires_grad_()

    def loss(self) -> Tensor:
        """Negative log-likelihood per prefix, with the penalties."""
        alpha, channel = self.parameters[:GRID], self.parameters[GRID:]
        penalty = ROUGHNESS * alpha.diff().square().sum()
        penalty = penalty + PULL * (channel - IDENTITY).square().sum()
        likelihood = (self._counts * self._joint().logsumexp(1)).sum()
        loss: Tensor = (penalty - likelihood) / self._counts.sum()
        return loss

    def means(self) -> Floats:
        """E[V | k, c] of every prefix, [R]."""
        with torch.no_grad():
            found: Floats = (self._joint().softmax(1) @ self._values)[self._inverse].numpy()
        return found

    def channel(self) -> Channel:
        """The fitted channel."""
        return Channel(*(float(x) for x in self._channel(self.parameters.detach())))

    def _channel(self, parameters: Tensor) -> tuple[Tensor, ...]:
        low, high, gamma, eps, spread = parameters[GRID:]
        return low.sigmoid() / 2, 1 - high.sigmoid(), gamma.exp(), eps.sigmoid() / 2, spread.exp()

    def _joint(self) -> Tensor:
        """Log of p(V, k, c) up to a constant, [distinct, grid]."""
        low, high, gamma, eps, spread = self._channel(self.parameters)
        v = self._values
        rate = (low + (high - low) * v**gamma).clamp(1e-4, 1 - 1e-4)
        straight = _beta_binomial(self._k, self._n, rate, 1 / spread)
        swapped = _beta_binomial(self._n - self._k, self._n, rate, 1 / spread)
        completions = torch.logaddexp(straight + torch.log1p(-eps), swapped + eps.log())
        failed = self._programs - self._passed
        outcomes = self._passed * v.log() + failed * torch.log1p(-v)
        joint: Tensor = self.parameters[:GRID].log_softmax(0) + completions + outcomes
        return joint


def _beta_binomial(k: Tensor, n: Tensor, rate: Tensor, t: Tensor) -> Tensor:
    """Log-probability without the binomial coefficient, [rows, grid]."""
    a, b = rate * t, (1 - rate) * t
    passes = torch.lgamma(a + k) - torch.lgamma(a)
    failures = torch.lgamma(b + n - k) - torch.lgamma(b)
    return passes + failures - torch.lgamma(t + n) + torch.lgamma(t)


def posterior_rewards(evidence: Evidence) -> tuple[Floats, Channel]:
    """Corrected rewards in (0, 1), [R], and the channel behind them."""
    model = _Model(evidence)
    optimizer = torch.optim.LBFGS([model.parameters], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model.loss()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return model.means(), model.channel()


def corrected_programs(
    programs: Sequence[LabelledProgram], folder: Path | None
) -> Sequence[LabelledProgram]:
    """Programs with posterior rewards; writes `corrected.jsonl` and `channel.json`.

    Args:
        programs: with measured rewards and their own verdicts.
        folder: where to write; None: nowhere.

    Raises:
        TrainingError: no program with completions has a verdict of its own.
    """
    prefixes, evidence = _evidence(programs)
    if not prefixes:
        return programs
    if not evidence.programs.any():
        raise TrainingError(
            "mode 'posterior' needs the verdicts of the training programs themselves, and none of "
            f"{len(programs)} has one; without them rewards get worse: judge these programs (stage "
            "execute), or set mode = 'joint' or 'none'"
        )
    rewards, channel = posterior_rewards(evidence)
    found = dict(zip(prefixes, rewards.tolist(), strict=True))
    if folder is not None:
        _write(folder, found, evidence, channel)
    return [_labelled(program, found) for program in programs]


def _evidence(programs: Sequence[LabelledProgram]) -> tuple[list[str], Evidence]:
    """Prefixes with completions, and what is known of each."""
    rows: dict[str, list[float]] = {}
    for program in programs:
        for prefix, k, n in zip(program.prefixes[:-1], program.k, program.n, strict=False):
            row = rows.setdefault(prefix, [k, n, 0, 0])
            if n > row[1]:
                row[:2] = k, n
            if program.outcome is not None:
                row[2] += program.outcome
                row[3] += 1
    rows = {prefix: row for prefix, row in rows.items() if row[1]}
    table = np.array(list(rows.values()), dtype=np.float64).reshape(-1, 4)
    return list(rows), Evidence(*table.T)


def _labelled(program: LabelledProgram, rewards: Mapping[str, float]) -> LabelledProgram:
    """The program with corrected rewards; its own verdict stays as it is."""
    known = [rewards.get(prefix) for prefix in program.prefixes[:-1]]
    k = tuple(0 if r is None else round(r * PARTS) for r in known)
    n = tuple(0 if r is None else PARTS for r in known)
    return replace(program, k=(*k, program.k[-1]), n=(*n, program.n[-1]))


def _write(
    folder: Path, rewards: Mapping[str, float], evidence: Evidence, channel: Channel
) -> None:
    rows: list[Json] = [
        {"prefix": prefix, "k": int(k), "n": int(n), "reward": reward, "weight": 1.0}
        for (prefix, reward), k, n in zip(rewards.items(), evidence.k, evidence.n, strict=True)
    ]
    write_jsonl(folder / "corrected.jsonl", rows)
    text = json.dumps(asdict(channel), indent=2) + "\n"
    write_atomically(folder / "channel.json", text.encode())
