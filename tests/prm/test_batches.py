import numpy as np
import torch

from funprm.prm.batches import CLEAN, Example, Labels, Pool, collate, examples_of
from funprm.prm.rendering import Renderer
from funprm.records import LabelledProgram
from tests.prm.world import make_tokenizer, program

RENDERER = Renderer(make_tokenizer())


def rendered(*programs: LabelledProgram, labels: Labels = "all") -> list[Example]:
    pairs = [(p, RENDERER.encode(p, 256)) for p in programs]
    rows = {prefix: i for i, prefix in enumerate(programs[0].prefixes[:-1])}
    return examples_of([(p, e) for p, e in pairs if e], rows, labels=labels)


def test_labels_are_rewards_rows_and_multiplicities() -> None:
    first = program("p", "abc", [1, 0, 1], [4, 0, 1])
    twin = program("p", "abc", [1, 0, 0], [4, 0, 1])
    other = program("q", "abc", [0, 0, 0], [4, 4, 0])
    one, two = rendered(first, twin, other)
    assert (one.steps, one.targets, one.weights) == ((0, 2), (0.25, 0.5), (2, 2))
    assert one.rows == (0, CLEAN)
    assert (two.steps, two.rows) == ((0, 1), (CLEAN, CLEAN))
    (outcome,) = rendered(first, twin, other, labels="outcome")
    assert (outcome.steps, outcome.targets) == ((2,), (0.5,))
    partial, _ = rendered(first, twin, other, labels="partial")
    assert (partial.steps, partial.rows) == ((0,), (0,))


def test_batches_hold_every_labelled_marker() -> None:
    examples = rendered(program("p", "abc", [1, 2, 1], [4, 4, 1]), program("q", "a", [1], [1]))
    batch = collate(examples, RENDERER.pad_id, "cpu")
    assert batch.tokens.shape == (2, len(examples[0].encoded.tokens))
    marked = batch.tokens[batch.program, batch.position]
    assert torch.equal(marked, torch.full((4,), RENDERER.marker_id))
    assert batch.targets.tolist() == [0.25, 0.5, 1.0, 1.0]
    assert batch.rows.tolist() == [0, 1, CLEAN, CLEAN]
    assert batch.size == sum(len(e.encoded.tokens) for e in examples)


def test_every_pass_visits_each_example_once_in_a_new_order() -> None:
    rng = np.random.default_rng(0)
    examples = rendered(
        *(program(f"p{i}", "abcx"[: rng.integers(1, 5)], [1] * 4, [1] * 4) for i in range(53))
    )
    pool, again = Pool(examples, 8, seed=1), Pool(examples, 8, seed=1)
    steps = [[e.generation for e in pool.batch(step)] for step in range(14)]
    names = sorted(e.generation for e in examples)
    for pass_ in (steps[:7], steps[7:]):
        assert sorted(name for step in pass_ for name in step) == names
        assert {len(step) for step in pass_} <= {7, 8}
    assert steps[:7] != steps[7:]
    assert [e.generation for e in again.batch(9)] == steps[9]
