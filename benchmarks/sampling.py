"""How fast programs are sampled: the policy's loop against the library's own `generate`.

Run as `python benchmarks/sampling.py [--model tiny] [--threads 2] ...`. Without a model folder a
random one is made (Qwen2 architecture, 1.1 million parameters); it never ends an answer, so
lengths are drawn: both sides write programs of the same lengths, whose mean is `--tokens`.
Prints one table; the last column is the ratio to `generate`.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from funprm.policies.huggingface_model import load_model
from funprm.policies.huggingface_rows import Row, Rule
from funprm.policies.huggingface_sampling import Sampler


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is sampled."""

    problems: int
    samples: int
    prompt_tokens: int
    tokens: int


def random_model() -> PreTrainedModel:
    """A small Qwen2 with random weights."""
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=256,
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=5,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
        )
    )
    model.train(False)
    return model


def make_rows(load: Load, vocabulary: int) -> list[Row]:
    """Rows of `problems` prompts, `samples` each; lengths vary by half around their means."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(load.problems):
        length = int(load.prompt_tokens * random.uniform(0.5, 1.5))
        prompt = tuple(random.integers(5, vocabulary, max(1, length)).tolist())
        for _ in range(load.samples):
            limit = max(1, round(load.tokens * random.uniform(0.5, 1.5)))
            rows.append(Row(prompt=prompt, limit=limit, stream=int(random.integers(2**63))))
    return rows


def ours(model: PreTrainedModel, rows: Sequence[Row]) -> None:
    """The policy's loop."""
    Sampler(model, Rule()).draw(rows)


def librarys(model: PreTrainedModel, rows: Sequence[Row]) -> None:
    """`generate` on the same prompts; it runs until the longest row has ended."""
    width = max(len(row.prompt) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, width - len(row.prompt) :] = torch.tensor(row.prompt)
        mask[i, width - len(row.prompt) :] = 1
    library: Any = model
    library.generate(
        ids.to(model.device),
        attention_mask=mask.to(model.device),
        do_sample=True,
        top_k=0,
        max_new_tokens=max(row.limit for row in rows),
        pad_token_id=0,
    )


def measure(model: PreTrainedModel, rows: Sequence[Row], repeats: int) -> dict[str, float]:
    """The best time of each side in seconds; they take turns, so that both see the same load."""
    sides = {"generate": librarys, "funprm": ours}
    best = dict.fromkeys(sides, math.inf)
    for _ in range(repeats + 1):  # one more, to warm up
        for name, draw in sides.items():
            start = time.perf_counter()
            draw(model, rows)
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="", help="model folder; empty: a random small Qwen2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--samples", type=int, default=8, help="programs per problem")
    parser.add_argument("--prompt-tokens", type=int, default=40, help="mean prompt length")
    parser.add_argument("--tokens", type=int, default=30, help="mean program length")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = load_model(Path(given.model), given.device) if given.model else random_model()
    module: torch.nn.Module = model  # the library's own `to` is not typed
    module.to(given.device)
    load = Load(
        problems=given.problems,
        samples=given.samples,
        prompt_tokens=given.prompt_tokens,
        tokens=given.tokens,
    )
    rows = make_rows(load, model.config.vocab_size)
    best = measure(model, rows, given.repeats)
    size, tokens = model.num_parameters() / 1e6, sum(row.limit for row in rows)
    print(f"{size:.1f}M parameters, {len(rows)} rows, {given.device}, {given.threads} threads")  # noqa: T201
    for name, spent in best.items():
        speed = f"{len(rows) / spent:8.0f} programs/s {tokens / spent:8.0f} tokens/s"
        print(f"{name:>10} {speed} {best['generate'] / spent:6.2f}x")  # noqa: T201


if __name__ == "__main__":
    main()
