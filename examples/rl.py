"""Reinforcement learning of the tiny policy, with and without hidden tests in the loop.

GRPO in its plainest form: groups of programs per problem, the advantage is the reward minus the
group's mean over its deviation, one gradient step per batch. Two cores, a few minutes:

    python examples/rl.py                                     # by hidden tests, by public ones
    python examples/rl.py --prm runs/demo/prm/funprm/model    # and by a reward model alone
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from statistics import fmean
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from funprm.datasets.mini import MiniDataset
from funprm.integrations.rewards import OutcomeReward, Reward, StepReward
from funprm.prompts import render_statement
from funprm.records import Problem

POLICY = str(resources.files("funprm").joinpath("policies", "tiny", "early"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes of a run."""

    steps: int = 48
    problems: int = 8
    """Per step."""
    group: int = 8
    """Programs per problem."""
    lr: float = 2e-4
    new_tokens: int = 112


class Policy:
    """A causal language model that writes programs and learns from rewards."""

    def __init__(self, settings: Settings, seed: int) -> None:
        torch.manual_seed(seed)
        self.settings = settings
        self.tokenizer: Any = AutoTokenizer.from_pretrained(POLICY, padding_side="left")
        self.model: Any = AutoModelForCausalLM.from_pretrained(POLICY, dtype=torch.float32)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=settings.lr, weight_decay=0)

    def sample(self, problems: Sequence[Problem]) -> tuple[Tensor, Tensor, list[str]]:
        """Tokens [programs, length], which of them the policy wrote, and the programs."""
        chats = [[{"role": "user", "content": render_statement(p)}] for p in problems]
        prompts = self.tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
        )
        start = prompts["input_ids"].shape[1]
        self.model.eval()
        tokens = self.model.generate(
            **prompts, do_sample=True, top_k=0, max_new_tokens=self.settings.new_tokens
        )
        written = tokens.clone().fill_(0)
        ended = (tokens[:, start:] == self.tokenizer.eos_token_id).cumsum(1)
        written[:, start:] = (ended == 0) | (
            (ended == 1) & (tokens[:, start:] == self.tokenizer.eos_token_id)
        )
        texts = self.tokenizer.batch_decode(tokens[:, start:], skip_special_tokens=True)
        return tokens, written.bool(), texts

    def learn(self, tokens: Tensor, written: Tensor, advantages: Tensor) -> None:
        """One step along the gradient of advantage times log-probability."""
        self.model.train()
        attention = (tokens != self.tokenizer.pad_token_id).long()
        logits = self.model(input_ids=tokens, attention_mask=attention).logits[:, :-1]
        chosen = logits.log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
        mask = written[:, 1:]
        loss = -(advantages[:, None] * chosen * mask).sum() / mask.sum()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def advantages(rewards: Sequence[float | None], group: int) -> Tensor:
    """Rewards against their group; what could not be measured teaches nothing."""
    values = torch.tensor([float("nan") if r is None else r for r in rewards]).view(-1, group)
    centred = values - values.nanmean(1, keepdim=True)
    deviation = centred.square().nanmean(1, keepdim=True).sqrt()
    return (centred / (deviation + 1e-4)).nan_to_num(0.0).flatten()


def train(
    reward: Reward, hidden: OutcomeReward, problems: Sequence[Problem], settings: Settings
) -> Iterator[tuple[float, float]]:
    """Trains a policy; per step the mean reward, and the share that passes the hidden tests."""
    policy, order = Policy(settings, 0), random.Random(0)
    for _ in range(settings.steps):
        batch = [
            p for p in order.sample(problems, settings.problems) for _ in range(settings.group)
        ]
        tokens, written, texts = policy.sample(batch)
        rewards = [item.reward for item in reward.measure(batch, texts)]
        passed = [item.reward for item in hidden.measure(batch, texts)]
        policy.learn(tokens, written, advantages(rewards, settings.group))
        yield mean(rewards), mean(passed)


def mean(rewards: Sequence[float | None]) -> float:
    """Of those that could be measured."""
    return fmean(reward for reward in rewards if reward is not None)


def show(name: str, steps: Iterator[tuple[float, float]], every: int) -> None:
    """A line per so many steps: means of reward and hidden pass rate since the last one."""
    sys.stdout.write(f"\nreward: {name}\n   steps   reward   hidden tests passed\n")
    recent: list[tuple[float, float]] = []
    for number, step in enumerate(steps, 1):
        recent.append(step)
        if number % every == 0:
            reward, passed = map(fmean, zip(*recent, strict=True))
            sys.stdout.write(f"{number - every + 1:4}-{number:<4}  {reward:5.2f}   {passed:5.1%}\n")
            sys.stdout.flush()
            recent = []


def main() -> None:
    """Trains one policy per reward, from the same weights on the same problems."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prm", help="a reward model: also learn from its scores alone")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    arguments = parser.parse_args()
    started, settings = time.monotonic(), Settings(steps=arguments.steps)
    torch.set_num_threads(1)  # the model is too small to be shared
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    problems = list(MiniDataset(train=400, meta=0, validation=0, test=0).load())
    hidden = OutcomeReward()
    rewards: dict[str, Reward] = {
        "hidden tests": hidden,
        "public tests": OutcomeReward("public"),
    }
    if arguments.prm:
        rewards["a reward model alone"] = StepReward(arguments.prm)
    for name, reward in rewards.items():
        show(name, train(reward, hidden, problems, settings), max(1, settings.steps // 6))
    sys.stdout.write(f"\n{time.monotonic() - started:.0f} s\n")


if __name__ == "__main__":
    main()
