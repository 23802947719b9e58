from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from funprm.prm.batches import CLEAN
from funprm.prm.correction.base import CorrectionBatch, Evidence, fitted
from funprm.prm.correction.exam import batches, evidence
from funprm.prm.correction.reward_table import RewardTable
from tests.prm.world import program

PROGRAMS = [program("p", "abc", [1, 2, 1], [4, 4, 1]), program("q", "xyz", [0, 0, 0], [8, 0, 1])]
EVIDENCE = Evidence.of(PROGRAMS)


def make(lr: float = 0.05, prior: float = 0.1) -> RewardTable:
    table = RewardTable(lr, prior)
    table.prepare(EVIDENCE, 0)
    return table


def update(table: RewardTable, rows: list[int], h: list[float], occurrences: Tensor) -> None:
    zeros = torch.zeros(len(rows))
    table.update(
        CorrectionBatch(torch.tensor(rows), zeros, zeros, occurrences, occurrences, torch.tensor(h))
    )


def test_partial_programs_with_evidence_get_a_row_and_start_at_the_prior() -> None:
    table = make()
    assert list(EVIDENCE.rows) == [*PROGRAMS[0].prefixes[:2], PROGRAMS[1].prefixes[0]]
    assert table.value.tolist() == pytest.approx([1.5 / 5, 2.5 / 5, 0.5 / 9])
    assert table.variance.tolist() == pytest.approx(
        [2 * 4 / (36 * 7), 3 * 3 / (36 * 7), 1 * 9 / (100 * 11)]
    )


def test_update_is_the_formula() -> None:
    table = make()
    update(table, [0, 1], [3.0, -1.0], torch.ones(2))
    centred = torch.tensor([2.0, -2.0]).double()
    r0, var = table.start[:2], table.variance[:2]
    expected = (r0 - 0.05 * centred / 2.0 + 0.05 * 0.1 / var * r0) / (1 + 0.05 * 0.1 / var)
    torch.testing.assert_close(table.value[:2], expected)
    assert table.value[2] == table.start[2]
    assert table.touched.tolist() == [True, True, False]


def test_a_shared_prefix_moves_as_often_as_it_occurs() -> None:
    one_by_one, merged = make(prior=0.0), make(prior=0.0)
    update(one_by_one, [0, 1, 0], [0.1, 0.5, 0.1], torch.ones(3))
    update(merged, [0, 1], [0.2, 0.5], torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(one_by_one.value, merged.value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), st.floats(0.0, 100.0))
def test_rewards_stay_in_the_unit_interval(h: list[float], prior: float) -> None:
    table = make(lr=1.0, prior=prior)
    for _ in range(3):
        update(table, [0, 1, 2], h, torch.ones(3))
    assert bool(((table.value >= 0) & (table.value <= 1)).all())


def test_a_strong_prior_holds_rewards_at_their_measurement() -> None:
    table = make(prior=1e6)
    update(table, [0, 1, 2], [1.0, -1.0, 5.0], torch.ones(3))
    torch.testing.assert_close(table.value, table.start, atol=1e-6, rtol=0)


def test_targets_come_from_the_table_where_it_has_a_row() -> None:
    table = RewardTable()
    table.prepare(evidence(), 0)
    batch, _ = next(batches(evidence()))
    batch = replace(batch, targets=torch.full_like(batch.targets, 0.9))
    found = fitted(table, batch).targets
    clean = batch.rows == CLEAN
    assert bool(clean.any())
    assert found[clean].tolist() == pytest.approx([0.9] * int(clean.sum()))
    assert torch.equal(found[~clean], table.start[batch.rows[~clean]].float())
