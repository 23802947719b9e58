"""The example of reinforcement learning: its parts, and that it learns."""

import importlib.util
import sys
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest
import torch

from funprm.datasets.mini import MiniDataset
from funprm.integrations.rewards import OutcomeReward

EXAMPLE = Path(__file__).parents[2] / "examples" / "rl.py"


@pytest.fixture(scope="module")
def rl() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rl_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rl_example"] = module  # its data classes look for themselves there
    spec.loader.exec_module(module)
    return module


def test_advantages_compare_within_a_group_and_skip_what_has_no_reward(rl: ModuleType) -> None:
    found = rl.advantages([1.0, 0.0, None, 1.0, 1.0, 1.0], 3)
    assert found.tolist() == pytest.approx([1, -1, 0, 0, 0, 0], abs=1e-3)


def test_what_the_policy_wrote_ends_with_its_end(rl: ModuleType) -> None:
    policy = rl.Policy(rl.Settings(new_tokens=64), 0)
    problems = list(MiniDataset(train=4, meta=0, validation=0, test=0).load())
    tokens, written, texts = policy.sample(problems)
    for row, mask, text in zip(tokens, written, texts, strict=True):
        own = row[mask]
        assert policy.tokenizer.decode(own, skip_special_tokens=True) == text
        assert policy.tokenizer.eos_token_id not in own[:-1].tolist()
    before = [parameter.clone() for parameter in policy.model.parameters()]
    policy.learn(tokens, written, torch.tensor([1.0, -1.0, 0.0, 0.0]))
    after = policy.model.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.slow
def test_reward_and_hidden_tests_rise_together(rl: ModuleType) -> None:
    problems = list(MiniDataset(train=100, meta=0, validation=0, test=0).load())
    hidden = OutcomeReward(workers=2)
    found = list(rl.train(hidden, hidden, problems, rl.Settings(steps=24)))
    hidden.close()
    assert all(reward == passed for reward, passed in found)
    first, last = (fmean(r for r, _ in part) for part in (found[:6], found[-6:]))
    assert last > first + 0.1
