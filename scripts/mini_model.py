"""Train the tiny code model that is shipped in `funprm/policies/tiny`, and measure it.

Everything is made here: corpus, tokenizer, weights, model card. Two cores need a few minutes.
Run by `make mini-model`.
"""

import argparse
import ast
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from tokenizers import AddedToken, pre_tokenizers
from torch.nn import functional
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from funprm.datasets.mini import MiniDataset
from funprm.datasets.mini.corpus import pieces, solutions
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job, Request, Sample
from funprm.policies.huggingface.policy import HuggingFacePolicy
from funprm.records import key_of, seed_of

PROBLEM, SOLUTION, STEP, END, PAD = SPECIAL = (
    "<|problem|>",
    "<|solution|>",
    "<|step|>",
    "<|end|>",
    "<|pad|>",
)
HERE = Path(__file__).resolve().parents[1] / "src" / "funprm" / "policies" / "tiny"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<|problem|>{{ message['content'] }}<|solution|>"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] }}<|end|>"
    "{% endif %}{% endfor %}"
)
"""One user message is the statement; the program follows without any text between."""


def build_tokenizer() -> Qwen2Tokenizer:
    """A tokenizer of phrases and lines, with single bytes for any other text.

    Phrases and lines are added tokens: the longest one that begins at a place is taken, whatever
    follows, and none spans the end of a function. So a program cut after any step has the tokens
    of the whole program. Between them the byte-level model, which has no merges, takes over.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(
        vocab={token: index for index, token in enumerate([*SPECIAL, *alphabet])},
        merges=[],
        unk_token=None,  # type: ignore[arg-type]  # the byte alphabet covers all text
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[PROBLEM, SOLUTION, STEP],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
        padding_side="left",
    )
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in pieces()])
    return tokenizer


@dataclass(frozen=True)
class Settings:
    """How the model is trained."""

    programs: int = 60_000
    steps: int = 1200
    early: int = 250
    """Steps of the weak checkpoint."""
    batch: int = 64
    lr: float = 3e-3
    warmup: int = 60
    weight_decay: float = 0.01
    marked: float = 0.5
    """Share of programs shown with step markers, so that a reward model finds them known."""
    hidden: int = 128
    intermediate: int = 448
    layers: int = 4
    heads: int = 4
    seed: int = 0


def token_id(tokenizer: Qwen2Tokenizer, token: str) -> int:
    """The number of one token."""
    number = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(number, int)
    return number


def build_model(tokenizer: Qwen2Tokenizer, settings: Settings) -> Qwen2ForCausalLM:
    """An untrained model of the Qwen2 architecture."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden,
        intermediate_size=settings.intermediate,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=token_id(tokenizer, PAD),
        initializer_range=0.05,
        attention_dropout=0.0,
        dtype="float32",
    )
    return Qwen2ForCausalLM(config)


def encode_corpus(
    tokenizer: Qwen2Tokenizer, settings: Settings
) -> list[tuple[list[int], list[int]]]:
    """Token ids of every example, and the target of each position (-100: no loss).

    Loss is on the program alone. In marked examples a marker follows every step as an input
    that is never a target: the model reads it and does not write it.
    """
    pairs = [
        (f"{PROBLEM}{s}{SOLUTION}", split_steps(p))
        for s, p in solutions(settings.programs, settings.seed)
    ]
    texts = sorted({text for prompt, steps in pairs for text in (prompt, *steps)})
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(texts)
    ids = {text: encoding.ids for text, encoding in zip(texts, encodings, strict=True)}
    end, marker = token_id(tokenizer, END), token_id(tokenizer, STEP)
    generator = torch.Generator().manual_seed(settings.seed)
    marked = torch.rand(len(pairs), generator=generator) < settings.marked
    return [
        example(ids[prompt], [ids[step] for step in steps], end, marker if show else None)
        for (prompt, steps), show in zip(pairs, marked.tolist(), strict=True)
    ]


def example(
    prompt: list[int], steps: list[list[int]], end: int, marker: int | None
) -> tuple[list[int], list[int]]:
    """Inputs and targets of one program, with or without a marker after every step.

    >>> example([1, 2], [[5, 6], [7]], 3, None)
    ([1, 2, 5, 6, 7], [-100, 5, 6, 7, 3])
    >>> example([1, 2], [[5, 6], [7]], 3, 9)
    ([1, 2, 5, 6, 9, 7, 9], [-100, 5, 6, -100, 7, -100, 3])
    """
    inputs, targets = list(prompt), [-100] * (len(prompt) - 1)
    for step in steps:
        inputs += step
        targets += step
        if marker is not None:
            inputs.append(marker)
            targets.append(-100)
    return inputs, [*targets, end]


def split_steps(program: str) -> list[str]:
    """The functions of a program of the corpus, each with the blank lines above it."""
    first, *others = program.split("\n\n\n")
    return [first + "\n", *("\n\n" + other + "\n" for other in others[:-1]), "\n\n" + others[-1]]


def batches(
    examples: Sequence[tuple[list[int], list[int]]], settings: Settings, pad: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches of inputs and targets, `(batch, length)` each, of about equal lengths."""
    generator = torch.Generator().manual_seed(settings.seed + 1)
    stretch = settings.batch * 16
    while True:
        order = torch.randperm(len(examples), generator=generator).tolist()
        for start in range(0, len(order) - stretch + 1, stretch):
            near = sorted(order[start : start + stretch], key=lambda i: len(examples[i][0]))
            for place in torch.randperm(16, generator=generator).tolist():
                chosen = near[place * settings.batch : (place + 1) * settings.batch]
                yield (
                    padded([examples[i][0] for i in chosen], pad),
                    padded([examples[i][1] for i in chosen], -100),
                )


def padded(rows: Sequence[list[int]], fill: int) -> torch.Tensor:
    """The rows as one tensor, filled up on the right."""
    length = max(map(len, rows))
    return torch.tensor([row + [fill] * (length - len(row)) for row in rows])


def learning_rate(step: int, settings: Settings) -> float:
    """Linear warm-up, then a cosine down to a fiftieth."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def train(
    model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, settings: Settings, out: Path
) -> None:
    """Fit the model to the corpus; saves the early checkpoint on its way."""
    examples = encode_corpus(tokenizer, settings)
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    stream = batches(examples, settings, tokenizer.pad_token_id)
    start = time.monotonic()
    mean = 0.0
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        inputs, targets = next(stream)
        logits = model(input_ids=inputs, use_cache=False).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = 0.98 * mean + 0.02 * loss.item()
        report(step, settings, mean / (1 - 0.98 ** (step + 1)), time.monotonic() - start)
        if step + 1 == settings.early:
            save(model, tokenizer, out / "early")


def report(step: int, settings: Settings, loss: float, seconds: float) -> None:
    """One progress line, rewritten in place."""
    last = step + 1 == settings.steps
    if last or step % 20 == 0:
        line = f"\rstep {step + 1}/{settings.steps}  loss {loss:.4f}  {seconds:.0f} s"
        sys.stdout.write(line + ("\n" if last else ""))
        sys.stdout.flush()


def save(model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, folder: Path) -> None:
    """Write a folder that `AutoModelForCausalLM` and `AutoTokenizer` open.

    Weights are stored in half precision to keep the package small; the configuration's dtype
    makes readers turn them into float32, which is what they are computed with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: weight.half() for name, weight in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=half)
    GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=96,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tokenizer.save_pretrained(folder)


@dataclass(frozen=True)
class Measured:
    """What a model does on test problems, whose compositions are not in its corpus."""

    problems: int
    samples: int
    seed: int
    one: float
    """Share of programs that pass."""
    any_of: float
    """Share of problems with a program that passes."""
    likeliest: float
    """Share of problems whose most likely program passes (by the sum of log-probabilities)."""
    likeliest_mean: float
    """The same by the mean over tokens."""
    certain: float
    """The same by self-certainty."""
    syntax_errors: float
    tokens: float
    """Mean length of a program."""


def measure(folder: Path, problems: int, samples: int, seed: int) -> Measured:
    """Sample at temperature 1 and judge in isolation."""
    chosen = list(MiniDataset(train=0, meta=0, validation=0, test=problems).load())
    requests = [
        Request(
            key=key_of(problem.key, index),
            problem=problem,
            index=index,
            seed=seed_of(problem.key, index, seed),
        )
        for problem in chosen
        for index in range(samples)
    ]
    policy = HuggingFacePolicy(model=str(folder), prompt="statement", max_tokens=96)
    answers = {sample.key: sample for sample in policy.sample(requests)}
    jobs = (Job(key=r.key, code=answers[r.key].code, suite=r.problem.hidden) for r in requests)
    with LocalExecutor() as executor:
        passed = {verdict.key: bool(verdict.passed) for verdict in executor.judge(jobs)}
    keys = [request.key for request in requests]
    groups = [keys[i : i + samples] for i in range(0, len(keys), samples)]

    def chosen_by(value: Callable[[Sample], float]) -> float:
        best = (max(group, key=lambda key: value(answers[key])) for group in groups)
        return fmean(passed[key] for key in best)

    return Measured(
        problems=problems,
        samples=samples,
        seed=seed,
        one=fmean(passed.values()),
        any_of=fmean(any(passed[key] for key in group) for group in groups),
        likeliest=chosen_by(lambda sample: sample.logprob or 0.0),
        likeliest_mean=chosen_by(lambda s: (s.logprob or 0.0) / max(1, s.logprob_tokens)),
        certain=chosen_by(lambda sample: sample.self_certainty or 0.0),
        syntax_errors=fmean(not parses(answers[key].code) for key in keys),
        tokens=fmean(answers[key].completion_tokens for key in keys),
    )


def parses(code: str) -> bool:
    """Whether a program is valid Python."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


def card(settings: Settings, parameters: int, final: Measured, early: Measured) -> str:
    """The model card."""
    rows = [
        ("one sample (pass@1)", "one"),
        (f"any of {final.samples} (pass@{final.samples})", "any_of"),
        (f"likeliest of {final.samples} (sum of log-probabilities)", "likeliest"),
        (f"likeliest of {final.samples} (mean per token)", "likeliest_mean"),
        (f"highest self-certainty of {final.samples}", "certain"),
        ("syntax errors", "syntax_errors"),
    ]
    table = "\n".join(
        f"| {label} | {getattr(final, name):.3f} | {getattr(early, name):.3f} |"
        for label, name in rows
    )
    return CARD.format(
        parameters=parameters, settings=settings, final=final, early=early, table=table
    )


CARD = """# The tiny code model

A causal language model of the Qwen2 architecture with {parameters:,} parameters (hidden size
{settings.hidden}, {settings.layers} layers, {settings.heads} heads), trained from nothing by
`scripts/mini_model.py` (`make mini-model`). It writes Python programs for problems of the `mini`
benchmark, and nothing else.

**Corpus.** {settings.programs:,} generated solutions in Chain-of-Function form (about
{final.tokens:.0f} tokens each), none of a problem of the benchmark's splits. They contain
plausible bugs on purpose: wordings of statements mislead systematically, so that the model's
mistakes are confident and its likelihood hardly selects. Compositions of operations in the test
split occur nowhere in the corpus.

**Training.** {settings.steps:,} steps of {settings.batch} programs, AdamW, learning rate
{settings.lr}, warm-up {settings.warmup} steps, cosine decay, seed {settings.seed}; loss on programs
alone. `early/` is the same run after {settings.early} steps, as a weak completer. Weights are
stored in half precision and read as float32.

**Tokenizer.** Phrases and lines are single tokens, digits and all other text are bytes; special
tokens `<|problem|>`, `<|solution|>`, `<|step|>` (end of a function, for reward models: half of
the corpus shows it, none asks for it), `<|end|>`, `<|pad|>`.

**Measured** on {final.problems} test problems, {final.samples} programs each at temperature 1
(seed {final.seed}):

| | model | early |
|---|---|---|
{table}

**Limits.** A laboratory animal: it knows some forty operations in fixed wordings, and its bugs
are made to be found.
"""


def main() -> None:
    """Train, save, measure, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the model")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="optimiser steps")
    parser.add_argument("--seed", type=int, default=Settings.seed, help="of corpus and weights")
    parser.add_argument("--problems", type=int, default=500, help="test problems to measure on")
    parser.add_argument("--samples", type=int, default=8, help="programs per test problem")
    parser.add_argument("--measure-only", action="store_true", help="keep the trained weights")
    arguments = parser.parse_args()
    settings = Settings(steps=arguments.steps, seed=arguments.seed)
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, settings)
    if not arguments.measure_only:
        train(model, tokenizer, settings, arguments.out)
        save(model, tokenizer, arguments.out)
    final, early = (
        measure(folder, arguments.problems, arguments.samples, seed=0)
        for folder in (arguments.out, arguments.out / "early")
    )
    text = card(settings, model.num_parameters(), final, early)
    (arguments.out / "CARD.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
