"""How much shared work saves in scoring: of statements, and of prefixes.

Run `python benchmarks/scoring.py`; it prints a Markdown table: the time that the N programs of a
problem take where every prefix is encoded again, with one pass per program, and with one encoding
of the statement for all. Programs are random tokens of the named sizes, the model has random
weights: neither changes the work. The trunk has the width of Qwen2.5-Coder-0.5B and a few of its
24 layers, which all take the same time. Times are CPU times of one thread, medians of
alternating repeats.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from transformers import Qwen2Config, Qwen2ForSequenceClassification

from funprm.prm.models.network import RewardModel
from funprm.prm.rendering import Encoded
from funprm.prm.scoring import CPU_TOKENS, step_scores

PAD, MARKER, FIRST = 0, 1, 2
VOCABULARY = 512
STEP_TOKENS = 60
BATCH_TOKENS = CPU_TOKENS


def make_model(layers: int) -> RewardModel:
    """A random reward model of the real one's width."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=layers,
        num_attention_heads=14,
        num_key_value_heads=2,
        pad_token_id=PAD,
    )
    config.num_labels = 1
    network = Qwen2ForSequenceClassification(config)  # type: ignore[no-untyped-call]
    torch.nn.init.normal_(network.score.weight, std=config.hidden_size**-0.5)
    return RewardModel(network).eval()


def make_programs(count: int, statement: int, steps: int) -> list[Encoded]:
    """Programs with one statement of so many tokens and so many steps of `STEP_TOKENS`."""
    generator = torch.Generator().manual_seed(1)
    length = statement + steps * (STEP_TOKENS + 1)
    markers = tuple(statement + (i + 1) * (STEP_TOKENS + 1) - 1 for i in range(steps))
    programs = []
    shared = torch.randint(FIRST, VOCABULARY, (statement,), generator=generator).tolist()
    for _ in range(count):
        tokens = torch.randint(FIRST, VOCABULARY, (length,), generator=generator).tolist()
        tokens[:statement] = shared
        for marker in markers:
            tokens[marker] = MARKER
        programs.append(Encoded(tuple(tokens), markers, start=statement))
    return programs


def alone(programs: Sequence[Encoded]) -> list[Encoded]:
    """The same programs, which do not say where their statement ends: nothing is shared."""
    return [Encoded(p.tokens, p.markers) for p in programs]


def prefixes(programs: Sequence[Encoded]) -> list[Encoded]:
    """Every prefix as a program of its own, scored at its end only."""
    return [Encoded(p.tokens[: m + 1], (m,)) for p in programs for m in p.markers]


def measure(
    work: Sequence[Callable[[], list[float]]], repeats: int
) -> tuple[list[float], list[list[float]]]:
    """Median CPU seconds of each piece of work, taken in turns, and what each returned."""
    times: list[list[float]] = [[] for _ in work]
    for _ in range(repeats):
        found = []
        for spent, call in zip(times, work, strict=True):
            start = time.process_time()
            found.append(call())
            spent.append(time.process_time() - start)
    return [statistics.median(spent) for spent in times], found


def row(model: RewardModel, statement: int, steps: int, args: argparse.Namespace) -> str:
    """One line of the table."""
    programs = make_programs(args.programs, statement, steps)
    ways = [programs, alone(programs), prefixes(programs)]

    def score(encoded: Sequence[Encoded]) -> list[float]:
        return [p for scores in step_scores(model, encoded, PAD, BATCH_TOKENS) for p in scores]

    (shared, once, again), found = measure([partial(score, way) for way in ways], args.repeats)
    difference = max(abs(a - b) for way in found[1:] for a, b in zip(found[0], way, strict=True))
    cells = [
        f"{statement}",
        f"{steps}",
        f"{again:.2f}",
        f"{once:.2f}",
        f"{shared:.2f}",
        f"{again / shared:.1f}",
        f"{once / shared:.1f}",
        f"{difference:.0e}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Parses sizes, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--programs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--statements", type=int, nargs="+", default=[250, 1000], help="tokens")
    parser.add_argument("--steps", type=int, nargs="+", default=[3, 5, 8])
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = make_model(args.layers)
    lines = [
        "| statement tokens | steps | every prefix, s | one pass per program, s | shared, s "
        "| against every prefix | against one pass | largest difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    for statement in args.statements:
        for steps in args.steps:
            sys.stdout.write(row(model, statement, steps, args) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
