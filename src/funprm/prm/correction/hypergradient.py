"""The derivatives that a correction follows: of the outer loss, by rewards and by weights.

Inner problem: L_in(theta; r) = sum_i omega_i l(z_i(theta), r_i) / W, with W = sum_i omega_i, over
the labelled steps of a batch. Outer problem: after one optimiser step theta -> theta', the clean
outcomes of other problems should be predicted: L_out(theta') (arXiv 2601.22249, section 3).

With v = grad L_out(theta'), the step's response w = D v to it, and d_i = 1 for cross-entropy or
2 s_i (1 - s_i) for squared error, the derivative by a reward is

    dL_out/dr_i = omega_i / W * d_i * <w, grad z_i(theta)> = omega_i / W * d_i * [J_z(theta) w]_i

so one Jacobian-vector product serves all steps of all programs of the batch.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from funprm.prm.batches import Batch
from funprm.prm.models.network import differentiable_attention

Loss = Literal["bce", "mse"]
Parameters = Mapping[str, Tensor]

FD_STEP = {torch.float32: 1e-3, torch.float64: 1e-6}
"""Length of the finite step along w: long enough for the precision, short enough to be linear."""

CLIP_EPSILON = 1e-6
"""What torch's clipping adds to the norm."""


def step_loss(logits: Tensor, rewards: Tensor, kind: Loss) -> Tensor:
    """l(z, r) of each row, [R]: softplus(z) - r z, or (sigmoid(z) - r)^2.

    The first is binary cross-entropy with soft labels; n times it is the binomial likelihood
    of k = n r passes.
    """
    if kind == "bce":
        return nn.functional.softplus(logits) - rewards * logits
    return (logits.sigmoid() - rewards).square()


def fitting_loss(logits: Tensor, rewards: Tensor, shares: Tensor, kind: Loss) -> Tensor:
    """Sum of `shares` * l: the mean loss if shares are omega_i / W."""
    return (shares * step_loss(logits, rewards, kind)).sum()


def loss_cross_derivative(logits: Tensor, kind: Loss) -> Tensor:
    """Minus d^2 l / (dz dr) of each row, d_i, [R]: how strongly a reward pulls at its logit."""
    if kind == "bce":
        return torch.ones_like(logits)
    scores = logits.sigmoid()
    return 2 * scores * (1 - scores)


def reward_gradient(tangent: Tensor, logits: Tensor, shares: Tensor, kind: Loss) -> Tensor:
    """dL_out/dr_i = share_i d_i [J_z w]_i, [R].

    Args:
        tangent: J_z(theta) w, [R].
        logits: z(theta), [R].
        shares: omega_i / W, [R].
        kind: the inner loss.
    """
    return shares * loss_cross_derivative(logits, kind) * tangent


def weight_gradient(
    reward_derivative: Tensor, logits: Tensor, rewards: Tensor, weights: Tensor
) -> Tensor:
    """dL_out/domega_i = (r_i - p_i) / omega_i * dL_out/dr_i at fixed W, [R]; both losses.

    Args:
        reward_derivative: dL_out/dr_i, [R].
        logits: z(theta), [R].
        rewards: r_i, [R].
        weights: omega_i > 0, [R].
    """
    return (rewards - logits.sigmoid()) / weights * reward_derivative


def optimizer_response(
    v: Parameters, optimizer: torch.optim.Optimizer, names: Mapping[int, str]
) -> dict[str, Tensor]:
    """How the optimiser's last step maps a gradient to a change of parameters, w = D v.

    SGD: w = lr v. AdamW: w = lr v / (sqrt(v_hat) + eps), elementwise, with the bias-corrected
    second moment that the step used. The factor of the first moment is left out: momentum spreads
    a gradient over later steps, and over all of them the factors sum to one.

    Args:
        v: gradient of the outer loss, by parameter name.
        optimizer: SGD without momentum, or AdamW, after its step.
        names: parameter name by `id(parameter)`.
    """
    w = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            w[name] = group["lr"] * v[name]
            if isinstance(optimizer, torch.optim.AdamW):
                state, beta = optimizer.state[parameter], group["betas"][1]
                second = state["exp_avg_sq"] / (1 - beta ** float(state["step"]))
                # Where no gradient ever arrived (embeddings of unseen tokens), none can be
                # changed by a reward; dividing by eps there would only drown the rest of w.
                scaled = w[name] / (second.sqrt() + group["eps"])
                w[name] = torch.where(second > 0, scaled, 0.0)
    return w


def through_clipping(
    w: Parameters, gradients: Parameters, norm: float, clip: float
) -> dict[str, Tensor]:
    """The response through clipping to norm C: w <- c (w - g <g, w>), c = C / |G|, g = G / |G|.

    Args:
        w: the optimiser's response.
        gradients: the inner gradient G, before or after clipping: only its direction counts.
        norm: |G| before clipping.
        clip: C; 0 means no clipping.
    """
    factor = clip / (norm + CLIP_EPSILON) if clip else 1.0
    if factor >= 1.0:
        return dict(w)
    along = _inner(gradients, w) / _inner(gradients, gradients) * norm / (norm + CLIP_EPSILON)
    return {n: factor * (w[n] - along * gradients[n]) for n in w}


def _inner(a: Parameters, b: Parameters) -> float:
    return float(torch.stack([(a[n] * b[n]).sum() for n in b]).sum())


def logits_at(model: nn.Module, parameters: Parameters, batch: Batch) -> Tensor:
    """Logits z of the batch's rows at other parameters, [R], as a function of them."""
    place = (batch.tokens, batch.program, batch.position)
    logits: Tensor = functional_call(model, dict(parameters), place)
    return logits


def tangent_jvp(model: nn.Module, theta: Parameters, w: Parameters, batch: Batch) -> Tensor:
    """J_z(theta) w by forward-mode differentiation, [R]. Attention by the math kernel."""
    with differentiable_attention(), torch.no_grad(), warnings.catch_warnings():
        # torch loads its forward-mode rules through its own deprecated compiler.
        warnings.simplefilter("ignore", DeprecationWarning)
        at = (dict(theta),), (dict(w),)
        tangent: Tensor = jvp(lambda p: logits_at(model, p, batch), *at)[1]
    return tangent


def tangent_fd(
    model: nn.Module, theta: Parameters, w: Parameters, batch: Batch, logits: Tensor
) -> Tensor:
    """J_z(theta) w by one forward pass at theta + e w, |e w| = `FD_STEP`, [R]; any kernel.

    Args:
        model: the reward model, in float32 or float64.
        theta: parameters of the inner gradient.
        w: the direction; same names.
        batch: programs and rows.
        logits: z(theta), computed in the same precision, [R].
    """
    norm = _inner(w, w) ** 0.5
    if norm == 0.0:
        return torch.zeros_like(logits)
    step = FD_STEP[logits.dtype] / norm
    with torch.no_grad():
        moved = {n: theta[n] + step * w[n] for n in w}
        tangent: Tensor = (logits_at(model, moved, batch) - logits) / step
    return tangent


@dataclass(frozen=True, slots=True)
class OneStep:
    """The inner step whose derivative is wanted: theta' = theta - lr * clipped gradient."""

    theta: Parameters
    rates: Mapping[str, float]
    """Learning rate of each parameter."""
    clip: float
    """Bound on the gradient's norm; 0: none."""


def exact_reward_gradient(
    step: OneStep,
    inner: Callable[[Parameters, Sequence[Tensor]], Tensor],
    outer: Callable[[Parameters], Tensor],
    rewards: Sequence[Tensor],
) -> list[Tensor]:
    """dL_out(theta')/dr through one SGD step, by double backward: what the others must equal.

    Args:
        step: the inner step.
        inner: L_in as a function of parameters and of the micro-batches' rewards.
        outer: L_out as a function of parameters.
        rewards: r of each micro-batch, [R_a].
    """
    theta = {n: p.detach().requires_grad_() for n, p in step.theta.items()}
    learned = [r.detach().clone().requires_grad_() for r in rewards]
    with differentiable_attention(), torch.enable_grad():
        flat = torch.autograd.grad(inner(theta, learned), list(theta.values()), create_graph=True)
        gradients = dict(zip(theta, flat, strict=True))
        norm = torch.stack([g.square().sum() for g in flat]).sum().sqrt()
        factor = (step.clip / (norm + CLIP_EPSILON)).clamp(max=1.0) if step.clip else 1.0
        moved = {n: p - step.rates[n] * factor * gradients[n] for n, p in theta.items()}
        found = torch.autograd.grad(outer(moved), learned)
    return list(found)
