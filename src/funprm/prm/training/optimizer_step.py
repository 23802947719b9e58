"""One optimiser step at a time: fitting rewards, and correcting them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from funprm.config import TrainConfig
from funprm.errors import TrainingError
from funprm.prm.batches import Batch, Example, collate
from funprm.prm.correction import hypergradient
from funprm.prm.correction.base import Correction, CorrectionBatch, fitted, weighted
from funprm.prm.distributed import ProcessGroup
from funprm.prm.models.network import Opened, differentiable_experts
from funprm.prm.training.pairwise_loss import (
    logit_gradients,
    pairs_of,
    program_scores,
    score_gradients,
)
from funprm.records import Json

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one inner step leaves behind for the hypergradient: this rank's rows."""

    batches: Sequence[Batch]
    """Micro-batches; their targets are the rewards that were fitted."""
    weights: Sequence[Tensor]
    """Occurrences times learned weight omega_i, by micro-batch, [R_a]."""
    total: float
    """W: occurrences of all rows of all ranks."""
    tokens: int
    """Of all ranks' programs, without padding."""
    logits: Sequence[Tensor]
    """z(theta) before the step, by micro-batch, [R_a]."""
    loss: float
    norm: float
    """Norm of the gradient before clipping."""


class Learner:
    """A reward model and its optimiser.

    Args:
        opened: the model; dropout is off throughout, so a step is a function of its batch.
        config: settings of training.
        ranks: who computes gradients together; every one is given all examples.
    """

    def __init__(
        self, opened: Opened, config: TrainConfig, ranks: ProcessGroup | None = None
    ) -> None:
        self.model = opened.model.train()
        self._pad = opened.renderer.pad_id
        self._config, self._ranks = config, ranks or ProcessGroup()
        self._parameters = opened.model.trainable()
        self._names = {id(p): name for name, p in self._parameters.items()}
        self.device = next(opened.model.parameters()).device
        self._optimizer = _optimizer(self._parameters, config)
        self._forward_mode = config.hypergradient == "jvp" or (
            config.hypergradient == "auto" and config.precision == "bf16"
        )
        self._rates = [group["lr"] for group in self._optimizer.param_groups]

    def fit(
        self,
        examples: Sequence[Example],
        correction: Correction,
        factor: float,
        pairwise: float = 0.0,
    ) -> StepResult:
        """One optimiser step on the mean loss of the examples' labelled steps.

        Args:
            examples: what to fit; split into micro-batches of `config.batch`.
            correction: rewards and weights of partial programs.
            factor: learning rate relative to the configured one.
            pairwise: weight of their programs' pairwise loss, see `prm.training.pairwise_loss`.

        Raises:
            TrainingError: the loss or its gradient is not finite; nothing was changed.
        """
        total, tokens = _occurrences(examples), _tokens(examples)
        batches = [fitted(correction, batch) for batch in self._collate(examples)]
        self._optimizer.zero_grad()
        logits, weights, losses = [], [], []
        ahead = self._ahead(examples, batches, pairwise)
        for batch, (known, pull) in zip(batches, ahead, strict=True):
            z = self._logits(batch) if known is None else known
            omega = weighted(correction, z.detach(), batch)
            losses.append(self._backward(z, batch.targets, omega / total, pull))
            logits.append(z.detach())
            weights.append(omega)
        loss = self._over_ranks(sum(losses))
        norm = float(
            torch.nn.utils.clip_grad_norm_(
                self._parameters.values(), self._config.clip or float("inf")
            )
        )
        if not (abs(loss) < float("inf") and norm < float("inf")):
            raise TrainingError(f"loss {loss}, gradient norm {norm}")
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = factor * rate
        self._optimizer.step()
        return StepResult(batches, weights, total, tokens, logits, loss, norm)

    def correct(
        self,
        examples: Sequence[Example],
        outer: Sequence[Example],
        correction: Correction,
        factor: float,
    ) -> tuple[float, float, int]:
        """As `fit`, then moves the fitted rewards down the outer loss; all micro-batches' rows.

        Args:
            examples: partial programs and their complete ones.
            outer: complete programs of other problems, clean outcomes.
            correction: what moves; changed in place.
            factor: learning rate relative to the configured one.

        Returns:
            Inner loss before, and outer loss after, the optimiser step; tokens of all forward
            passes.
        """
        theta = {name: p.detach().clone() for name, p in self._parameters.items()}
        fit = self.fit(examples, correction, factor)
        if self._config.hypergradient == "exact":
            gradients, loss = self._exact(theta, fit, self._collate(outer))
        else:
            gradients, loss = self._by_tangent(theta, fit, outer)
        # Rows of all micro-batches move together: the mean that is taken off h is the batch's.
        step = CorrectionBatch(
            rows=self._joined([batch.rows for batch in fit.batches]),
            rewards=self._joined([batch.targets for batch in fit.batches]),
            logits=self._joined(fit.logits),
            occurrences=self._joined([batch.weights for batch in fit.batches]),
            weights=self._joined(fit.weights),
            gradient=self._joined(gradients),
        )
        partial = step.of_all(self._ranks).partial()
        if len(partial.rows):
            correction.update(partial)
        return fit.loss, loss, 2 * fit.tokens + _tokens(outer)

    def _by_tangent(
        self, theta: hypergradient.Parameters, fit: StepResult, outer: Sequence[Example]
    ) -> tuple[list[Tensor], float]:
        gradients = self._gradients()
        self._optimizer.zero_grad()
        total = _occurrences(outer)
        losses = [
            self._backward(self._logits(b), b.targets, b.weights / total)
            for b in self._collate(outer)
        ]
        loss = self._over_ranks(sum(losses))
        w = hypergradient.optimizer_response(self._gradients(), self._optimizer, self._names)
        w = hypergradient.through_clipping(w, gradients, fit.norm, self._config.clip)
        found = []
        for batch, z, omega in zip(fit.batches, fit.logits, fit.weights, strict=True):
            tangent = self._tangent(theta, w, batch, z)
            found.append(
                hypergradient.reward_gradient(tangent, z, omega / fit.total, self._config.loss)
            )
        return found, loss

    def _tangent(
        self,
        theta: hypergradient.Parameters,
        w: hypergradient.Parameters,
        batch: Batch,
        logits: Tensor,
    ) -> Tensor:
        self.model.eval()  # switches recomputation of activations off; there is no dropout
        try:
            if self._forward_mode:
                with differentiable_experts(self.model):
                    return hypergradient.tangent_jvp(self.model, theta, w, batch)
            return self._finite_difference(theta, w, batch, logits)
        except NotImplementedError as error:
            self._leave_forward_mode(str(error).partition("\n")[0])
            return self._finite_difference(theta, w, batch, logits)
        finally:
            self.model.train()

    def _leave_forward_mode(self, reason: str) -> None:
        """From now on by finite differences, if these are to be had."""
        whole = all(p.dtype == torch.float32 for p in self.model.parameters())
        if self._config.hypergradient == "jvp" or not whole:
            raise TrainingError(
                f"forward mode cannot differentiate this model ({reason}): set "
                "train.hypergradient = 'fd' and train.precision = 'fp32'"
            )
        _log.warning("hypergradient by finite differences: forward mode fails here (%s)", reason)
        self._forward_mode = False

    def _finite_difference(
        self,
        theta: hypergradient.Parameters,
        w: hypergradient.Parameters,
        batch: Batch,
        logits: Tensor,
    ) -> Tensor:
        with self.model.single_precision(), torch.no_grad():
            if self._config.precision == "bf16":
                logits = hypergradient.logits_at(self.model, theta, batch)
            return hypergradient.tangent_fd(self.model, theta, w, batch, logits)

    def _exact(
        self, theta: hypergradient.Parameters, fit: StepResult, outer: Sequence[Batch]
    ) -> tuple[list[Tensor], float]:
        kind, losses = self._config.loss, []
        total = sum(float(batch.weights.sum()) for batch in outer)

        def inner(parameters: hypergradient.Parameters, rewards: Sequence[Tensor]) -> Tensor:
            return _sum(
                hypergradient.fitting_loss(
                    hypergradient.logits_at(self.model, parameters, b), r, omega / fit.total, kind
                )
                for b, r, omega in zip(fit.batches, rewards, fit.weights, strict=True)
            )

        def after(parameters: hypergradient.Parameters) -> Tensor:
            loss = _sum(
                hypergradient.fitting_loss(
                    hypergradient.logits_at(self.model, parameters, b),
                    b.targets,
                    b.weights / total,
                    kind,
                )
                for b in outer
            )
            losses.append(float(loss.detach()))
            return loss

        rates = {
            self._names[id(p)]: group["lr"]
            for group in self._optimizer.param_groups
            for p in group["params"]
        }
        step = hypergradient.OneStep(theta, rates, self._config.clip)
        with differentiable_experts(self.model):
            rewards = [batch.targets for batch in fit.batches]
            return hypergradient.exact_reward_gradient(step, inner, after, rewards), losses[0]

    def _collate(self, examples: Sequence[Example]) -> list[Batch]:
        """This rank's micro-batches."""
        examples = self._ranks.share(examples)
        size = self._config.batch
        chunks = [examples[i : i + size] for i in range(0, len(examples), size)]
        return [collate(chunk, self._pad, self.device) for chunk in chunks]

    def _logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self.model(batch.tokens, batch.program, batch.position)
        return logits

    def _ahead(
        self, examples: Sequence[Example], batches: Sequence[Batch], pairwise: float
    ) -> list[tuple[Tensor | None, Tensor | None]]:
        """Of each micro-batch: logits if they are known, and derivatives of the pairwise loss."""
        pairs = pairs_of(examples) if pairwise else None
        if pairs is None or not len(pairs.weights):
            return [(None, None)] * len(batches)
        single = len(batches) == 1  # then one forward pass serves both losses
        with torch.set_grad_enabled(single):
            logits = [self._logits(batch) for batch in batches]
        own = [program_scores(z.detach(), b) for z, b in zip(logits, batches, strict=True)]
        scores = self._ranks.join(self._joined(own).tolist())
        gradients = pairwise * score_gradients(pairs, torch.tensor(scores, device=self.device))
        share = torch.tensor(self._ranks.share(gradients.tolist()), device=self.device)
        parts = torch.split(share, [len(s) for s in own])
        return [
            (z if single else None, logit_gradients(part, z.detach(), batch))
            for z, part, batch in zip(logits, parts, batches, strict=True)
        ]

    def _backward(
        self, logits: Tensor, rewards: Tensor, shares: Tensor, pull: Tensor | None = None
    ) -> float:
        loss = hypergradient.fitting_loss(logits, rewards, shares, self._config.loss)
        torch.autograd.backward(loss if pull is None else loss + (pull * logits).sum())
        return float(loss.detach())

    def _over_ranks(self, loss: float) -> float:
        """Sums loss and gradients over all ranks; one without programs adds zeros."""
        if self._ranks.size == 1:
            return loss
        gradients, total = self._gradients(), torch.tensor([float(loss)], device=self.device)
        self._ranks.sum([*gradients.values(), total])
        for name, parameter in self._parameters.items():
            parameter.grad = gradients[name]
        return float(total)

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts)) if parts else torch.zeros(0, device=self.device)

    def _gradients(self) -> dict[str, Tensor]:
        return {
            name: torch.zeros_like(p) if p.grad is None else p.grad
            for name, p in self._parameters.items()
        }

    def state(self) -> dict[str, Json]:
        """Parameters and optimiser, for `restore`."""
        return {
            "parameters": {name: p.detach().clone() for name, p in self._parameters.items()},
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: Mapping[str, Json]) -> None:
        """Continues where `state` was taken."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(state["parameters"][name])
        self._optimizer.load_state_dict(state["optimizer"])


def _occurrences(examples: Sequence[Example]) -> float:
    return float(sum(sum(example.weights) for example in examples))


def _tokens(examples: Sequence[Example]) -> int:
    return sum(len(example.encoded.tokens) for example in examples)


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()


def _optimizer(
    parameters: Mapping[str, torch.nn.Parameter], config: TrainConfig
) -> torch.optim.Optimizer:
    head = [p for name, p in parameters.items() if ".score." in name]
    trunk = [p for name, p in parameters.items() if ".score." not in name]
    groups = [
        {"params": trunk, "lr": config.lr},
        {"params": head, "lr": config.lr * config.head_lr_factor},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, weight_decay=config.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)
