"""A world small enough to know the truth: tiny models, a tokenizer, programs with known values."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from funprm.lab.methods import LEARNS
from funprm.prm.training.data import TrainingData
from funprm.records import Json, LabelledProgram, key_of

SPECIAL = ["<|pad|>", "<|problem|>", "<|solution|>", "<|step|>", "<unk>"]
GOOD, TABOO, BAD = "abc", "u", "xyz"
"""Kinds of steps: a program passes if it has no bad one. The completer stumbles over taboo ones,
though they are good: its rewards are biased."""
P_BAD, P_TABOO = 0.25, 0.35


def make_tokenizer(special: Sequence[str] = SPECIAL) -> PreTrainedTokenizerFast:
    """One token per character."""
    pieces = [*special, "\n", *map(chr, range(32, 127))]
    tokenizer = Tokenizer(models.WordLevel({p: i for i, p in enumerate(pieces)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        unk_token="<unk>",
        additional_special_tokens=[s for s in special if s not in ("<|pad|>", "<unk>")],
    )


def rows_of(path: Path) -> list[Json]:
    """The rows of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def make_base(folder: Path, *, hidden: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """A random causal language model with its tokenizer."""
    tokenizer = make_tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        pad_token_id=0,
        attention_dropout=0.1,
        initializer_range=0.1,
    )
    torch.manual_seed(seed)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def program(problem: str, kinds: str, k: Sequence[int], n: Sequence[int]) -> LabelledProgram:
    """A program whose steps are of the given kinds."""
    steps = tuple(f"def {kind}\n" for kind in kinds)
    code = "".join(steps)
    prefixes = tuple(
        key_of(problem, code[: sum(map(len, steps[: i + 1]))]) for i in range(len(steps))
    )
    return LabelledProgram(
        generation=key_of(problem, kinds),
        problem_id=problem,
        statement=f"do {problem}",
        steps=steps,
        prefixes=prefixes,
        k=tuple(k),
        n=tuple(n),
    )


def true_value(kinds: str, total: int) -> float:
    """Chance that the policy completes a prefix of these kinds to a passing program."""
    return 0.0 if set(kinds) & set(BAD) else (1 - P_BAD) ** (total - len(kinds))


def draw_programs(
    split: str, problems: int, each: int, rng: np.random.Generator, rollouts: int = 8
) -> list[LabelledProgram]:
    """Programs of one to three steps: rewards of the biased completer, true outcomes."""
    found = []
    for number in range(problems):
        problem = f"{split}{number}"
        for _ in range(each):
            total = int(rng.integers(1, 4))
            kinds = "".join(_kind(rng) for _ in range(total))
            values = [true_value(kinds[: i + 1], total) for i in range(total)]
            seen = [v * (0.15 if TABOO in kinds[: i + 1] else 1.0) for i, v in enumerate(values)]
            k = [int(rng.binomial(rollouts, v)) for v in seen[:-1]]
            found.append(
                program(problem, kinds, [*k, int(values[-1])], [rollouts] * (total - 1) + [1])
            )
    return found


def small_data() -> TrainingData:
    """Enough to take every step of a training."""
    rng = np.random.default_rng(0)
    return TrainingData(
        train=draw_programs("t", 12, 3, rng),
        meta=draw_programs("m", 6, 3, rng),
        validation=draw_programs("v", 5, 4, rng),
    )


def learns(name: str) -> dict[str, Any]:
    """Settings of what a model learns from, by the name of the laboratory's method."""
    return dict(LEARNS[name])


def _kind(rng: np.random.Generator) -> str:
    draw = rng.random()
    kinds = BAD if draw < P_BAD else TABOO if draw < P_BAD + P_TABOO else GOOD
    return str(rng.choice(list(kinds)))
