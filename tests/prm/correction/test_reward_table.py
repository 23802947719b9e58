import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funprm.prm.batches import CLEAN
from funprm.prm.correction.reward_table import RewardTable
from tests.prm.world import program

PROGRAMS = [program("p", "abc", [1, 2, 1], [4, 4, 1]), program("q", "xyz", [0, 0, 0], [8, 0, 1])]


def make(rate: float = 0.05, prior: float = 0.1) -> RewardTable:
    return RewardTable(PROGRAMS, rate=rate, prior=prior)


def test_partial_programs_with_evidence_get_a_row_and_start_at_the_prior() -> None:
    table = make()
    assert list(table.rows) == [*PROGRAMS[0].prefixes[:2], PROGRAMS[1].prefixes[0]]
    assert table.value.tolist() == pytest.approx([1.5 / 5, 2.5 / 5, 0.5 / 9])
    assert table.variance.tolist() == pytest.approx(
        [2 * 4 / (36 * 7), 3 * 3 / (36 * 7), 1 * 9 / (100 * 11)]
    )


def test_update_is_the_formula() -> None:
    table = make()
    table.update(torch.tensor([0, 1]), torch.tensor([3.0, -1.0]), torch.ones(2))
    centred = torch.tensor([2.0, -2.0]).double()
    r0, var = table.start[:2], table.variance[:2]
    expected = (r0 - 0.05 * centred / 2.0 + 0.05 * 0.1 / var * r0) / (1 + 0.05 * 0.1 / var)
    torch.testing.assert_close(table.value[:2], expected)
    assert table.value[2] == table.start[2]
    assert table.touched.tolist() == [True, True, False]


def test_a_shared_prefix_moves_as_often_as_it_occurs() -> None:
    rows, ones = torch.tensor([0, 1, 0]), torch.ones(3)
    one_by_one, merged = make(prior=0.0), make(prior=0.0)
    one_by_one.update(rows, torch.tensor([0.1, 0.5, 0.1]), ones)
    merged.update(rows[:2], torch.tensor([0.2, 0.5]), torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(one_by_one.value, merged.value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), st.floats(0.0, 100.0))
def test_rewards_stay_in_the_unit_interval(h: list[float], prior: float) -> None:
    table = make(rate=1.0, prior=prior)
    for _ in range(3):
        table.update(torch.tensor([0, 1, 2]), torch.tensor(h), torch.ones(3))
    assert bool(((table.value >= 0) & (table.value <= 1)).all())


def test_a_strong_prior_holds_rewards_at_their_measurement() -> None:
    table = make(prior=1e6)
    table.update(torch.tensor([0, 1, 2]), torch.tensor([1.0, -1.0, 5.0]), torch.ones(3))
    torch.testing.assert_close(table.value, table.start, atol=1e-6, rtol=0)


def test_state_continues() -> None:
    table, other = make(), make()
    table.update(torch.tensor([0, 2]), torch.tensor([1.0, 2.0]), torch.ones(2))
    other.restore(table.state())
    for t in (table, other):
        t.update(torch.tensor([0, 1]), torch.tensor([1.0, -4.0]), torch.ones(2))
    assert torch.equal(table.value, other.value)


def test_targets_come_from_the_table_where_it_has_a_row() -> None:
    table = make()
    found = table.targets(torch.tensor([0.9, 0.9]), torch.tensor([CLEAN, 2]))
    assert found.tolist() == pytest.approx([0.9, 0.5 / 9])
