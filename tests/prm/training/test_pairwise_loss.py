from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from funprm.config import TrainConfig
from funprm.evaluation.aggregation import AGGREGATORS
from funprm.prm.batches import Example, Pool, examples_of
from funprm.prm.models.opening import open_base
from funprm.prm.rendering import Encoded
from funprm.prm.scoring import PrmScorer
from funprm.prm.training.loop import UNCORRECTED, train
from funprm.prm.training.optimizer_step import Learner
from funprm.prm.training.pairwise_loss import TEMPERATURE, pair_loss, pairs_of
from funprm.records import LabelledProgram
from tests.prm.precision import double_precision
from tests.prm.world import learns, program, small_data

PROGRAMS = [
    program("p", "ab", [2, 1], [4, 1]),
    program("p", "ab", [2, 1], [4, 1]),
    program("p", "xb", [0, 0], [4, 1]),
    program("p", "cy", [3, 0], [4, 1]),
    program("p", "cz", [3, 0], [4, 0]),  # not judged
    program("q", "a", [1], [1]),
    program("r", "x", [0], [1]),
    program("r", "ac", [0, 1], [0, 1]),
]


def config_of(base: Path, **changes: Any) -> TrainConfig:
    return replace(
        TrainConfig(base=str(base), device="cpu", max_tokens=64, epochs=2.0, warmup_epochs=1.0),
        **changes,
    )


def rendered(config: TrainConfig, programs: Sequence[LabelledProgram] = PROGRAMS) -> list[Example]:
    encoded = open_base(config).renderer.encode_all(programs, 64)
    pairs = [(p, e) for p, e in zip(programs, encoded, strict=True) if e is not None]
    return examples_of(pairs, {}, labels="all", whole=True)


def test_pairs_are_of_one_problem_and_count_identical_programs(base: Path) -> None:
    examples = rendered(config_of(base))
    assert [e.problem for e in examples] == ["p", "p", "p", "p", "q", "r", "r"]
    pairs = pairs_of(examples)
    found = zip(pairs.better.tolist(), pairs.worse.tolist(), pairs.weights.tolist(), strict=True)
    assert list(found) == [(0, 1, 2), (0, 2, 2), (6, 5, 1)]


def test_steps_without_label_are_scored_but_not_fitted(base: Path) -> None:
    last = rendered(config_of(base))[-1]
    assert (last.steps, last.weights) == ((0, 1), (0, 1))


def test_a_pair_in_the_right_order_costs_less() -> None:
    pairs = pairs_of(_bare([program("p", "a", [1], [1]), program("p", "x", [0], [1])]))
    right, wrong = torch.tensor([0.7, 0.6]), torch.tensor([0.6, 0.7])
    ahead = torch.tensor(0.1 / TEMPERATURE)
    assert pair_loss(pairs, right) == pytest.approx(float(nn.functional.softplus(-ahead)))
    assert pair_loss(pairs, wrong) == pytest.approx(float(nn.functional.softplus(ahead)))


@pytest.mark.parametrize("size", [16, 3, 1])
def test_gradients_are_those_of_all_pairs_whatever_the_micro_batches(base: Path, size: int) -> None:
    """Against autograd through one pass over all programs, with plain SGD."""
    whole = config_of(base, optimizer="sgd", lr=1.0, head_lr_factor=1.0, clip=0.0)
    config = replace(whole, batch=size, accumulate=-(-16 // size))
    examples = rendered(config)
    opened = open_base(config)
    opened.model.double()
    with torch.no_grad():  # a head of zeros has no gradient to the trunk
        for name, parameter in opened.model.trainable().items():
            if ".score." in name:
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    learner = Learner(opened, config)
    with double_precision():
        assert_plain_gradients(learner, examples)


def assert_plain_gradients(learner: Learner, examples: list[Example]) -> None:
    parameters = learner.model.trainable()
    before = {n: p.detach().clone() for n, p in parameters.items()}
    learner.fit(examples, UNCORRECTED, 1.0, pairwise=0.5)
    moved = {n: before[n] - p.detach() for n, p in parameters.items()}
    learner.restore({**learner.state(), "parameters": before})
    expected = _gradients(learner, examples)
    for name, gradient in expected.items():
        torch.testing.assert_close(moved[name], gradient, rtol=1e-4, atol=1e-6)


def _gradients(learner: Learner, examples: list[Example]) -> dict[str, torch.Tensor]:
    model = learner.model
    total = sum(sum(e.weights) for e in examples)
    scores, loss = [], torch.zeros(())
    for e in examples:
        z = model(
            torch.tensor([e.encoded.tokens]),
            torch.zeros(len(e.steps), dtype=torch.int64),
            torch.tensor([e.encoded.markers[s] for s in e.steps]),
        )
        scores.append(z.sigmoid().mean())
        r, m = torch.tensor(e.targets), torch.tensor(e.weights)
        loss = loss + (m / total * (nn.functional.softplus(z) - r * z)).sum()
    loss = loss + 0.5 * pair_loss(pairs_of(examples), torch.stack(scores))
    named = model.trainable()
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {
        n: torch.zeros_like(p) if g is None else g
        for (n, p), g in zip(named.items(), found, strict=True)
    }


def test_batches_hold_whole_problems(base: Path) -> None:
    examples = rendered(config_of(base), small_data().train)
    pool = Pool(examples, 8, seed=1, together=True)
    count = -(-len(examples) // 8)
    steps = [pool.batch(step) for step in range(count)]
    names = sorted(e.generation for step in steps for e in step)
    assert names == sorted(e.generation for e in examples)
    where = [{e.problem for e in step} for step in steps]
    assert sum(map(len, where)) == len(set().union(*where))


@pytest.mark.parametrize(("mode", "used"), [("orm", "last"), ("none", "mean"), ("table", "mean")])
def test_training_puts_passing_programs_ahead(
    base: Path, tmp_path: Path, mode: str, used: str
) -> None:
    data, losses = small_data(), []
    programs = data.train if mode == "none" else [*data.train, *data.meta]
    for weight in (0.0, 3.0):
        config = config_of(base, **learns(mode), pairwise=weight, epochs=6.0, evaluate_every=6.0)
        result = train(config, data, tmp_path / str(weight))
        scores = PrmScorer(result.folder / "model", "cpu").score(programs)
        totals = torch.tensor([AGGREGATORS[used](s) for s in scores])
        losses.append(float(pair_loss(pairs_of(_bare(programs)), totals)))
    assert losses[1] < losses[0] - 0.02


def _bare(programs: Sequence[LabelledProgram]) -> list[Example]:
    encoded = Encoded((), (), shortened=False)
    return [
        Example(p.generation, p.problem_id, p.outcome, 1, encoded, (), (), (), ()) for p in programs
    ]
