"""How fast programs are sampled: the policy's loop against the library's own `generate`.

Run as `python benchmarks/sampling.py [--model FOLDER] [--problems 64] [--samples 8] ...`. With a
model folder, problems of the data set `mini` are answered until the model ends its answers.
Without one, a random model is made (Qwen2 architecture, 1.1 million parameters); it never ends an
answer, so lengths are drawn, whose mean is `--tokens`, and both sides write programs of the same.
Both sides write the same whole stage in the same numbers with as many rows at once: `generate`
takes one batch after the other, each until its longest answer has ended. Times are CPU seconds of
one thread (`--threads`), which other work on the machine disturbs little; tokens are those of
answers, their ends included.

With `--llama PYTHON FILE` (an interpreter that has llama-cpp-python, and a GGUF file) llama.cpp
draws the same prompts in its own numbers, as many at once.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from funprm.datasets.mini.dataset import MiniDataset
from funprm.language_models import (
    dtype_name,
    is_small,
    load_model,
    load_tokenizer,
)
from funprm.policies.huggingface.packed import pack
from funprm.policies.huggingface.rows import Row, Rule
from funprm.policies.huggingface.sampler import Sampler
from funprm.policies.huggingface.vocabulary import stop_tokens
from funprm.prompts import build_prompt

SQUARE = 2048
"""Rows and columns of the matrices whose product measures a machine's peak."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one side wrote, and the CPU seconds it took."""

    tokens: int
    seconds: float

    @property
    def speed(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds


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


def random_rows(given: argparse.Namespace, vocabulary: int) -> list[Row]:
    """Rows of random prompts; lengths vary by half around their means."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(given.problems):
        length = int(given.prompt_tokens * random.uniform(0.5, 1.5))
        prompt = tuple(random.integers(5, vocabulary, max(1, length)).tolist())
        for _ in range(given.samples):
            limit = max(1, round(given.tokens * random.uniform(0.5, 1.5)))
            rows.append(Row(prompt=prompt, limit=limit, stream=int(random.integers(2**63))))
    return rows


def real_rows(given: argparse.Namespace) -> list[Row]:
    """Rows of problems, in the plain style; the longest prompts first, as the policy takes them."""
    tokenizer = load_tokenizer(Path(given.model))
    problems = MiniDataset(train=given.problems, meta=1, validation=1, test=1).load()
    prompts = []
    for problem, _ in zip(problems, range(given.problems), strict=False):
        message = [{"role": "user", "content": build_prompt(problem, "plain")}]
        text = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
        prompts.append(tuple(tokenizer(text, add_special_tokens=False)["input_ids"]))
    random = np.random.default_rng(0)
    return [
        Row(prompt=prompt, limit=given.max_tokens, stream=int(random.integers(2**63)))
        for prompt in sorted(prompts, key=len, reverse=True)
        for _ in range(given.samples)
    ]


def timed(work: Callable[[], int]) -> Spent:
    """Runs what returns a number of tokens."""
    start = time.process_time()
    tokens = work()
    return Spent(tokens=tokens, seconds=time.process_time() - start)


def ours(model: PreTrainedModel, rows: Sequence[Row], rule: Rule, batch: int) -> int:
    """The policy's loop."""
    return sum(len(x.tokens) for _, x in Sampler(model, rule).stream(rows, batch))


def librarys(model: PreTrainedModel, rows: Sequence[Row], rule: Rule, batch: int) -> int:
    """`generate` on the same prompts, a batch at a time, each until its longest row has ended."""
    total = 0
    for start in range(0, len(rows), batch):
        total += generate(model, rows[start : start + batch], rule)
    return total


def generate(model: PreTrainedModel, rows: Sequence[Row], rule: Rule) -> int:
    """One batch; returns the tokens of its answers."""
    width = max(len(row.prompt) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, width - len(row.prompt) :] = torch.tensor(row.prompt)
        mask[i, width - len(row.prompt) :] = 1
    library: Any = model
    written = library.generate(
        ids.to(model.device),
        attention_mask=mask.to(model.device),
        do_sample=True,
        temperature=rule.temperature,
        top_k=0,
        top_p=rule.top_p,
        repetition_penalty=1.0,
        max_new_tokens=max(row.limit for row in rows),
        eos_token_id=sorted(rule.stop) or None,
        pad_token_id=0,
    )[:, width:].tolist()
    return sum(length(answer, row, rule) for answer, row in zip(written, rows, strict=True))


def length(answer: Sequence[int], row: Row, rule: Rule) -> int:
    """Tokens up to the one that ended the answer, or up to the row's limit."""
    ends = [i + 1 for i, token in enumerate(answer) if token in rule.stop]
    return min(ends[0] if ends else len(answer), row.limit)


def llamas(
    command: Sequence[str], rows: Sequence[Row], rule: Rule, given: argparse.Namespace
) -> Spent:
    """llama.cpp, in a process of its own: see `llama_batch.py`."""
    python, model = command
    task = {
        "model": model,
        "rows": [{"prompt": x.prompt, "limit": x.limit, "seed": x.stream} for x in rows],
        "slots": given.batch,
        "temperature": rule.temperature,
        "top_p": rule.top_p,
        "stop": sorted(rule.stop),
        "threads": given.threads,
    }
    script = Path(__file__).with_name("llama_batch.py")
    ran = subprocess.run(
        [python, str(script)],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return Spent(**json.loads(ran.stdout))


def peak(dtype: torch.dtype, device: torch.device) -> float:
    """Operations per CPU second of a large matrix product."""
    left, right = (torch.randn(SQUARE, SQUARE, dtype=dtype, device=device) for _ in range(2))
    left @ right
    best = min(timed(lambda: len(left @ right)).seconds for _ in range(5))
    return 2 * SQUARE**3 / best


def shares(model: PreTrainedModel, rows: Sequence[Row], rule: Rule, batch: int) -> str:
    """How much of the machine's peak encoding prompts and decoding reach, in matrix products."""
    head = model.config.hidden_size * model.config.vocab_size
    tied = model.config.tie_word_embeddings
    trunk = model.num_parameters() - (1 if tied else 2) * head
    most = peak(model.dtype, model.device)
    endless = replace(rule, stop=frozenset())
    once = {row.prompt: replace(row, limit=1) for row in rows}
    encoded = timed(lambda: ours(model, list(once.values()), endless, batch))
    prompt_tokens = sum(map(len, once))
    same = [replace(row, prompt=rows[0].prompt) for row in rows[:batch]]
    first = [replace(row, limit=1) for row in same]
    more = [replace(row, limit=25) for row in same]
    short = timed(lambda: ours(model, first, endless, batch))
    long = timed(lambda: ours(model, more, endless, batch))
    decoding = (long.tokens - short.tokens) / (long.seconds - short.seconds)
    return (
        f"peak {most / 1e12:.2f} TFLOPS; encoding {prompt_tokens / encoded.seconds:.0f} prompt "
        f"tokens/s, {2 * trunk * prompt_tokens / encoded.seconds / most:.0%} of it; decoding "
        f"{decoding:.0f} tokens/s, {2 * (trunk + head) * decoding / most:.0%} of it"
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="", help="model folder; empty: a random small Qwen2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--samples", type=int, default=8, help="programs per problem")
    parser.add_argument("--batch", type=int, default=64, help="rows at once, on both sides")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--max-tokens", type=int, default=320, help="of a real model's answer")
    parser.add_argument("--prompt-tokens", type=int, default=40, help="mean of random prompts")
    parser.add_argument("--tokens", type=int, default=30, help="mean length of a random answer")
    parser.add_argument("--llama", nargs=2, metavar=("PYTHON", "FILE"), help="llama.cpp's side")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    folder, stop = Path(given.model), frozenset[int]()
    if given.model:
        model = load_model(folder, given.device, given.dtype)
        stop = stop_tokens(folder, load_tokenizer(folder))
        rows = real_rows(given)
        kind = dtype_name(folder, given.device, given.dtype)
    else:
        model, kind = random_model(), "fp32"
        rows = random_rows(given, model.config.vocab_size)
    rule = Rule(temperature=given.temperature, top_p=given.top_p, stop=stop)
    size = model.num_parameters() / 1e6
    print(  # noqa: T201
        f"{size:.1f}M parameters, {kind}, {given.problems} prompts x {given.samples} answers, "
        f"{given.batch} at once, {given.device}, {given.threads} threads",
        flush=True,
    )
    theirs = timed(lambda: librarys(model, rows, rule, given.batch))
    show("generate", theirs, theirs)
    if given.llama:
        show("llama.cpp", llamas(given.llama, rows, rule, given), theirs)
    if given.device == "cpu" and not is_small(model):
        pack(model)
    show("funprm", timed(lambda: ours(model, rows, rule, given.batch)), theirs)
    print(shares(model, rows, rule, given.batch))  # noqa: T201


def show(name: str, spent: Spent, against: Spent) -> None:
    """One line of the table; the last column is the ratio of speeds."""
    line = f"{name:>10} {spent.tokens:8} tokens {spent.seconds:8.1f} s {spent.speed:8.1f} tokens/s"
    print(f"{line} {spent.speed / against.speed:6.2f}x", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
