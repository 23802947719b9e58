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

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from funprm.errors import TrainingError
from funprm.prm.correction.base import Correction, Evidence
from funprm.records import Json

Floats = NDArray[np.float64]

GRID = 41
STEPS = 60
"""Iterations of the quasi-Newton optimiser at most."""

ROUGHNESS = 1.0
"""Weight of the squared differences of neighbouring log w."""

PULL = 0.5
"""Weight of the squared distance of the channel's parameters from the identity."""

IDENTITY = torch.tensor([-4.0, -4.0, 0.0, -4.0, -3.0], dtype=torch.float64)
"""Parameters of a channel without bias: see `_Model._channel`."""


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


class Posterior(Correction):
    """Fits E[V | k, c] in place of k/n, from the first step on."""

    def prepare(self, evidence: Evidence, seed: int) -> Floats | None:
        """The posterior means.

        Raises:
            TrainingError: no program with completions has a verdict of its own.
        """
        self._channel: Channel | None = None
        if not len(evidence):
            return None
        if not evidence.programs.any():
            raise TrainingError(
                "correction 'posterior' needs the verdicts of the training programs themselves, "
                f"and none of those behind {len(evidence)} rewards has one; without them rewards "
                "get worse: judge these programs (stage execute), or set correction = 'none'"
            )
        rewards, self._channel = posterior_rewards(evidence)
        return rewards

    def diagnostics(self) -> Mapping[str, Json]:
        """The channel."""
        return {"channel": asdict(self._channel)} if self._channel else {}
