"""How much one forward pass per program saves against encoding every prefix again.

Run `python benchmarks/scoring.py`; it prints a Markdown table. Programs are random tokens of the
named sizes, the model has random weights: neither changes the work. Times are CPU times of one
thread, medians of alternating repeats.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
from transformers import Qwen2Config, Qwen2ForSequenceClassification

from funprm.prm.models.network import RewardModel
from funprm.prm.rendering import Encoded
from funprm.prm.scoring import step_scores

PAD, MARKER, FIRST = 0, 1, 2
VOCABULARY = 512
STEP_TOKENS = 60
BATCH_TOKENS = 16_384


def make_model(hidden: int, layers: int) -> RewardModel:
    """A random reward model."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        pad_token_id=PAD,
    )
    config.num_labels = 1
    network = Qwen2ForSequenceClassification(config)  # type: ignore[no-untyped-call]
    torch.nn.init.normal_(network.score.weight)
    return RewardModel(network).eval()


def make_programs(count: int, statement: int, steps: int) -> list[Encoded]:
    """Programs with a statement of so many tokens and so many steps of `STEP_TOKENS`."""
    generator = torch.Generator().manual_seed(1)
    length = statement + steps * (STEP_TOKENS + 1)
    markers = tuple(statement + (i + 1) * (STEP_TOKENS + 1) - 1 for i in range(steps))
    programs = []
    for _ in range(count):
        tokens = torch.randint(FIRST, VOCABULARY, (length,), generator=generator).tolist()
        for marker in markers:
            tokens[marker] = MARKER
        programs.append(Encoded(tuple(tokens), markers))
    return programs


def prefixes(programs: Sequence[Encoded]) -> list[Encoded]:
    """Every prefix as a program of its own, scored at its end only."""
    return [Encoded(p.tokens[: m + 1], (m,)) for p in programs for m in p.markers]


def measure(work: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median CPU seconds of each piece of work, taken in turns."""
    times: list[list[float]] = [[] for _ in work]
    for _ in range(repeats):
        for spent, call in zip(times, work, strict=True):
            start = time.process_time()
            call()
            spent.append(time.process_time() - start)
    return [statistics.median(spent) for spent in times]


def row(model: RewardModel, statement: int, steps: int, args: argparse.Namespace) -> str:
    """One line of the table."""
    programs = make_programs(args.programs, statement, steps)
    apart = prefixes(programs)

    def score(encoded: Sequence[Encoded]) -> list[tuple[float, ...]]:
        return step_scores(model, encoded, PAD, BATCH_TOKENS)

    one, many = score(programs), score(apart)
    flat = [p for scores in one for p in scores]
    difference = max(abs(a - b[0]) for a, b in zip(flat, many, strict=True))
    once, again = measure([lambda: score(programs), lambda: score(apart)], args.repeats)
    tokens = sum(len(e.tokens) for e in apart) / sum(len(e.tokens) for e in programs)
    cells = [
        f"{statement}",
        f"{steps}",
        f"{1000 * once / len(programs):.1f}",
        f"{1000 * again / len(programs):.1f}",
        f"{again / once:.1f}",
        f"{tokens:.1f}",
        f"{difference:.0e}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Parses sizes, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--programs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = make_model(args.hidden, args.layers)
    lines = [
        "| statement tokens | steps | one pass, ms/program | every prefix, ms/program "
        "| time ratio | token ratio | largest difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for statement in (100, 400, 1000):
        lines += [row(model, statement, steps, args) for steps in (3, 5, 8)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
