"""The hypergradient, proven against double backward and against brute force, in float64."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from funprm.config import TrainConfig
from funprm.prm.batches import Batch, collate, examples_of
from funprm.prm.correction import hypergradient
from funprm.prm.models.network import RewardModel, differentiable_attention
from funprm.prm.models.opening import open_base
from funprm.records import LabelledProgram
from tests.prm.precision import double_norm
from tests.prm.world import program

LR = 0.05


@dataclass
class Setting:
    model: RewardModel
    inner: list[Batch]
    outer: Batch
    theta: dict[str, Tensor]
    kind: hypergradient.Loss

    @property
    def shares(self) -> list[Tensor]:
        total = sum(float(b.weights.sum()) for b in self.inner)
        return [b.weights.double() / total for b in self.inner]

    @property
    def rewards(self) -> list[Tensor]:
        return [b.targets.double() for b in self.inner]

    def inner_loss(self, theta: hypergradient.Parameters, rewards: Sequence[Tensor]) -> Tensor:
        parts = zip(self.inner, rewards, self.shares, strict=True)
        losses = [
            hypergradient.fitting_loss(
                hypergradient.logits_at(self.model, theta, b), r, s, self.kind
            )
            for b, r, s in parts
        ]
        return torch.stack(losses).sum()

    def outer_loss(self, theta: hypergradient.Parameters) -> Tensor:
        z = hypergradient.logits_at(self.model, theta, self.outer)
        shares = self.outer.weights.double() / self.outer.weights.sum()
        return hypergradient.fitting_loss(z, self.outer.targets.double(), shares, "bce")

    def gradient(self, loss: Tensor, theta: hypergradient.Parameters) -> dict[str, Tensor]:
        found = torch.autograd.grad(loss, list(theta.values()))
        return dict(zip(theta, found, strict=True))

    def logits(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return hypergradient.logits_at(self.model, self.theta, batch)


@pytest.fixture(params=[("tiny", "bce"), ("random", "bce"), ("random", "mse")], ids="-".join)
def setting(
    base: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Setting]:
    name, loss = request.param
    monkeypatch.setattr(Qwen2RMSNorm, "forward", double_norm)
    opened = open_base(TrainConfig(base="tiny" if name == "tiny" else str(base), device="cpu"))
    torch.manual_seed(1)
    torch.nn.init.normal_(opened.model.network.score.weight, std=0.5)

    def batch(*programs: LabelledProgram) -> Batch:
        pairs = [(p, opened.renderer.encode(p, 99)) for p in programs]
        examples = examples_of([(p, e) for p, e in pairs if e], {}, labels="all")
        return collate(examples, 0, "cpu")

    first = program("p", "aux", [1, 2, 0], [4, 4, 1])
    inner = [
        batch(first, first, program("q", "bc", [3, 1], [4, 1])),
        batch(program("r", "xa", [0, 0], [4, 1])),
    ]
    outer = batch(program("s", "u", [1], [1]), program("t", "y", [0], [1]))
    model = opened.model.double().eval()
    theta = {n: p.detach().clone().requires_grad_() for n, p in model.trainable().items()}
    with differentiable_attention():
        yield Setting(model, inner, outer, theta, loss)


def stepped(s: Setting, clip: float, rewards: Sequence[Tensor]) -> tuple[dict[str, Tensor], float]:
    gradient = s.gradient(s.inner_loss(s.theta, rewards), s.theta)
    norm = float(torch.stack([g.square().sum() for g in gradient.values()]).sum().sqrt())
    factor = min(1.0, clip / (norm + hypergradient.CLIP_EPSILON)) if clip else 1.0
    moved = {n: (s.theta[n] - LR * factor * g).detach() for n, g in gradient.items()}
    return moved, norm


def by_tangent(s: Setting, clip: float, method: str) -> Tensor:
    gradient = s.gradient(s.inner_loss(s.theta, s.rewards), s.theta)
    moved, norm = stepped(s, clip, s.rewards)
    moved = {n: p.requires_grad_() for n, p in moved.items()}
    v = s.gradient(s.outer_loss(moved), moved)
    w = hypergradient.through_clipping({n: LR * g for n, g in v.items()}, gradient, norm, clip)
    theta = {n: p.detach() for n, p in s.theta.items()}
    found = []
    for batch, share in zip(s.inner, s.shares, strict=True):
        z = s.logits(batch)
        if method == "jvp":
            tangent = hypergradient.tangent_jvp(s.model, theta, w, batch)
        else:
            tangent = hypergradient.tangent_fd(s.model, theta, w, batch, z)
        found.append(hypergradient.reward_gradient(tangent, z, share, s.kind))
    return torch.cat(found)


def exact(s: Setting, clip: float) -> Tensor:
    step = hypergradient.OneStep(s.theta, dict.fromkeys(s.theta, LR), clip)
    found = hypergradient.exact_reward_gradient(step, s.inner_loss, s.outer_loss, s.rewards)
    return torch.cat(found)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("clip", [0.0, 0.05, 1e6])
def test_three_ways_agree(setting: Setting, clip: float) -> None:
    truth = exact(setting, clip)
    assert float(truth.norm()) > 1e-6
    assert relative(by_tangent(setting, clip, "jvp"), truth) < 1e-8
    assert relative(by_tangent(setting, clip, "fd"), truth) < 1e-3


def test_fd_in_single_precision(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = exact(setting, 0.0)
    monkeypatch.setitem(hypergradient.FD_STEP, torch.float64, hypergradient.FD_STEP[torch.float32])
    assert relative(by_tangent(setting, 0.0, "fd"), truth) < 0.02


def test_exact_is_the_finite_difference_of_the_outer_loss(setting: Setting) -> None:
    truth, eps = exact(setting, 0.05), 1e-4
    flat = torch.cat(setting.rewards)
    sizes = [len(r) for r in setting.rewards]
    for i in range(len(flat)):
        losses = []
        for sign in (1, -1):
            changed = flat.clone()
            changed[i] += sign * eps
            moved, _ = stepped(setting, 0.05, torch.split(changed, sizes))
            losses.append(float(setting.outer_loss(moved)))
        assert (losses[0] - losses[1]) / (2 * eps) == pytest.approx(float(truth[i]), rel=1e-4)


def test_weights_follow_from_rewards(setting: Setting) -> None:
    """dL_out/domega_i at fixed W, by brute force on the weights."""
    reward = by_tangent(setting, 0.0, "jvp")
    z = torch.cat([setting.logits(b) for b in setting.inner])
    weights = torch.cat([b.weights for b in setting.inner]).double()
    found = hypergradient.weight_gradient(reward, z, torch.cat(setting.rewards), weights)
    total, eps = float(weights.sum()), 1e-4
    for i in range(len(z)):
        losses = []
        for sign in (1, -1):
            changed = weights.clone()
            changed[i] += sign * eps
            shares = torch.split(changed / total, [len(b.weights) for b in setting.inner])
            parts = zip(setting.inner, setting.rewards, shares, strict=True)
            terms = [
                hypergradient.fitting_loss(
                    hypergradient.logits_at(setting.model, setting.theta, b), r, s, setting.kind
                )
                for b, r, s in parts
            ]
            gradient = setting.gradient(torch.stack(terms).sum(), setting.theta)
            moved = {n: setting.theta[n].detach() - LR * g for n, g in gradient.items()}
            losses.append(float(setting.outer_loss(moved)))
        assert (losses[0] - losses[1]) / (2 * eps) == pytest.approx(float(found[i]), rel=1e-4)


def test_adam_response_is_close_to_the_exact_derivative_of_its_step(setting: Setting) -> None:
    s, eps = setting, 1e-5
    flat, sizes = torch.cat(s.rewards), [len(r) for r in s.rewards]
    start = {n: p.detach().clone().requires_grad_() for n, p in s.theta.items()}
    optimizer = torch.optim.AdamW(start.values(), lr=1e-4, weight_decay=0.0)
    for _ in range(10):
        adam_step(s, start, optimizer, s.rewards)
    s.theta, state = start, copy.deepcopy(optimizer.state_dict())

    def after(rewards: Tensor) -> tuple[dict[str, Tensor], torch.optim.AdamW]:
        theta = {n: p.detach().clone().requires_grad_() for n, p in start.items()}
        again = torch.optim.AdamW(theta.values(), lr=1e-4, weight_decay=0.0)
        again.load_state_dict(copy.deepcopy(state))
        adam_step(s, theta, again, torch.split(rewards, sizes))
        return theta, again

    moved, optimizer = after(flat)
    v = s.gradient(s.outer_loss(moved), moved)
    w = hypergradient.optimizer_response(v, optimizer, {id(p): n for n, p in moved.items()})
    found = []
    for batch, share in zip(s.inner, s.shares, strict=True):
        tangent = hypergradient.tangent_jvp(
            s.model, {n: p.detach() for n, p in start.items()}, w, batch
        )
        found.append(hypergradient.reward_gradient(tangent, s.logits(batch), share, s.kind))
    truth = []
    for i in range(len(flat)):
        up, down = flat.clone(), flat.clone()
        up[i] += eps
        down[i] -= eps
        difference = s.outer_loss(after(up)[0]) - s.outer_loss(after(down)[0])
        truth.append(difference.detach() / (2 * eps))
    cosine = torch.nn.functional.cosine_similarity(torch.cat(found), torch.stack(truth), 0)
    assert float(cosine) > 0.98


def adam_step(
    s: Setting,
    theta: dict[str, Tensor],
    optimizer: torch.optim.AdamW,
    rewards: Sequence[Tensor],
) -> None:
    for name, gradient in s.gradient(s.inner_loss(theta, rewards), theta).items():
        theta[name].grad = gradient
    optimizer.step()


def test_unseen_tokens_do_not_drown_the_adam_response() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2).double())
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    parameter.grad = torch.tensor([1.0, 0.0]).double()
    optimizer.step()
    w = hypergradient.optimizer_response(
        {"p": torch.ones(2).double()}, optimizer, {id(parameter): "p"}
    )
    assert w["p"].tolist() == pytest.approx([0.1, 0.0])


def test_clipping_leaves_small_gradients_alone_and_projects_large_ones() -> None:
    w = {"a": torch.tensor([1.0, 2.0]).double()}
    g = {"a": torch.tensor([3.0, 0.0]).double()}
    assert hypergradient.through_clipping(w, g, 3.0, 0.0)["a"].tolist() == [1.0, 2.0]
    assert hypergradient.through_clipping(w, g, 3.0, 4.0)["a"].tolist() == [1.0, 2.0]
    clipped = hypergradient.through_clipping(w, g, 3.0, 1.5)["a"]
    assert clipped.tolist() == pytest.approx([0.0, 1.0], abs=hypergradient.CLIP_EPSILON)


def test_binomial_likelihood_is_n_times_the_cross_entropy() -> None:
    z, k, n = 0.3, 3, 8
    p = 1 / (1 + math.exp(-z))
    binomial = -k * math.log(p) - (n - k) * math.log(1 - p)
    loss = hypergradient.step_loss(
        torch.tensor([z]).double(), torch.tensor([k / n]).double(), "bce"
    )
    assert n * float(loss) == pytest.approx(binomial)
