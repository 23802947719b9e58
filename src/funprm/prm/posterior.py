"""Rewards as posterior means: what completions, the model and clean outcomes say together.

The value V of a prefix, the chance that the policy completes it to a passing program, is never
seen. Three things depend on it:

- k of n completions by a completer that may be biased: k ~ BetaBinomial(n, rho(V), t) with
  rho(V) = low + (high - low) V^gamma, or with probability eps the same of n - k;
- c of m programs of the policy that begin with the prefix and pass: c ~ Binomial(m, V). They
  are clean: the prefix's own programs are completions of it by the policy itself;
- the score q of a reward model that has not seen the problem.

V lives on a grid; its prior is log w_g = alpha_g + beta logit(q) v_g, an exponential family
tilted by the score (empirical Bayes by g-modelling, Efron 2016). All parameters maximise the
likelihood of (k, c) given q, summed over prefixes; a weak penalty holds the channel near the
identity (low = eps = 0, high = gamma = 1, t infinite), the case of unbiased completions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

GRID = 41
STEPS = 60
"""Iterations of the quasi-Newton optimiser at most."""

ROUGHNESS = 1.0
"""Weight of the squared differences of neighbouring alpha."""

PULL = 0.5
"""Weight of the squared distance of the channel's parameters from the identity."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of each prefix; all [R]."""

    k: Floats
    """Passed completions."""
    n: Floats
    """Judged completions, at least 1."""
    passed: Floats
    """Own programs that passed."""
    programs: Floats
    """Own programs that were judged."""
    scores: Floats
    """Of a reward model that has not seen the prefix's problem, in (0, 1)."""


@dataclass(frozen=True, slots=True)
class Channel:
    """How completions relate to the value, as it was fitted."""

    low: float
    """Pass rate of completions at V = 0."""
    high: float
    """Pass rate at V = 1."""
    gamma: float
    """Exponent between the two."""
    swapped: float
    """Share of prefixes whose passes and failures changed places."""
    spread: float
    """1/t: overdispersion; 0: completions of a prefix are independent."""
    tilt: float
    """beta: how far the model's score moves the prior."""


class _Model:
    def __init__(self, evidence: Evidence) -> None:
        self._k, self._n, self._passed, self._programs = (
            torch.from_numpy(np.asarray(x, dtype=np.float64))
            for x in (evidence.k, evidence.n, evidence.passed, evidence.programs)
        )
        q = torch.from_numpy(np.clip(evidence.scores, 1e-3, 1 - 1e-3))
        self._odds = torch.logit(q)
        # Cells of equal width in arcsine scale: fine near 0 and 1, where most values are.
        cells = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
        self._values = torch.sin(cells * torch.pi / 2).square()
        self.parameters = torch.zeros(GRID + 6, dtype=torch.float64)
        self.parameters[:GRID] = -np.log(GRID)
        self.parameters[GRID:] = _START
        self.parameters.requires_grad_()

    def loss(self) -> Tensor:
        """Negative log-likelihood per prefix, with the penalties."""
        alpha, rest = self.parameters[:GRID], self.parameters[GRID:]
        joint = self._prior() + self._completions() + self._outcomes()
        penalty = ROUGHNESS * alpha.diff().square().sum()
        penalty = penalty + PULL * (rest - _START)[:5].square().sum()
        return (penalty - joint.logsumexp(1).sum()) / len(self._k)

    def means(self, *, outcomes: bool) -> Floats:
        """Posterior means of V; with the own programs' outcomes, or without."""
        with torch.no_grad():
            joint = self._prior() + self._completions()
            if outcomes:
                joint = joint + self._outcomes()
            found: Floats = (joint.softmax(1) @ self._values).numpy()
        return found

    def channel(self) -> Channel:
        """The fitted parameters."""
        low, high, gamma, eps, spread, tilt = self._channel(self.parameters.detach())
        return Channel(
            *(float(x) for x in (low, high, gamma, eps, spread, tilt)),
        )

    def _channel(self, parameters: Tensor) -> tuple[Tensor, ...]:
        a = parameters[GRID:]
        return (
            a[0].sigmoid() / 2,
            1 - a[1].sigmoid(),
            a[2].exp(),
            a[3].sigmoid() / 2,
            a[4].exp(),
            a[5],
        )

    def _prior(self) -> Tensor:
        alpha, tilt = self.parameters[:GRID], self.parameters[-1]
        return (alpha + tilt * self._odds[:, None] * self._values).log_softmax(1)

    def _completions(self) -> Tensor:
        low, high, gamma, eps, spread, _ = self._channel(self.parameters)
        rate = low + (high - low) * self._values**gamma
        rate = rate.clamp(1e-4, 1 - 1e-4)
        pairs, inverse = torch.unique(
            torch.stack([self._k, self._n], 1), dim=0, return_inverse=True
        )
        k, n = pairs[:, :1], pairs[:, 1:]
        straight = _beta_binomial(k, n, rate, 1 / spread)
        swapped = _beta_binomial(n - k, n, rate, 1 / spread)
        both = torch.logaddexp(straight + torch.log1p(-eps), swapped + eps.log())
        return both[inverse]

    def _outcomes(self) -> Tensor:
        v = self._values
        return self._passed[:, None] * v.log() + (self._programs - self._passed)[
            :, None
        ] * torch.log1p(-v)


_START = torch.tensor([-4.0, -4.0, 0.0, -4.0, -3.0, 1.0], dtype=torch.float64)


def _beta_binomial(k: Tensor, n: Tensor, rate: Tensor, t: Tensor) -> Tensor:
    """Log-probability without the binomial coefficient, [pairs, grid]."""
    a, b = rate * t, (1 - rate) * t
    return (
        torch.lgamma(a + k)
        - torch.lgamma(a)
        + torch.lgamma(b + n - k)
        - torch.lgamma(b)
        - torch.lgamma(t + n)
        + torch.lgamma(t)
    )


def posterior_rewards(evidence: Evidence) -> tuple[Floats, Channel]:
    """Corrected rewards in (0, 1), [R], and the channel behind them."""
    model = _Model(evidence)
    optimizer = torch.optim.LBFGS(
        [model.parameters], max_iter=STEPS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model.loss()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return model.means(outcomes=True), model.channel()
