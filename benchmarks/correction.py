"""What each mode recovers when rewards are corrupted in a known way.

Run `python benchmarks/correction.py`; it samples, judges and labels the programs of
`benchmarks/correction.toml` once, then prints a Markdown table. Rewards of 32 completions stand for
the truth; training sees 8 of them, corrupted:

- clean: as they are;
- weak: where a prefix has one of a third of the function names, 7 of 10 passes are lost
  (a completer that cannot use these functions);
- lost: 4 of 10 passes anywhere are counted as failures (a broken judge);
- flipped: of every sixth prefix, passes and failures change places.

`error` is the root mean squared difference between fitted rewards and truth. Scores are of test
problems: AUC of steps against their 32 completions, and accuracy of the best of 8.
"""

import argparse
import json
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from funprm.config import Mode, TrainConfig, load_config
from funprm.console import progress_for
from funprm.pipeline.run import Run
from funprm.pipeline.stages import STAGES
from funprm.pipeline.training import labelled_programs
from funprm.prm.scorer import PrmScorer
from funprm.prm.train import TrainingData, train
from funprm.prm.validate import metrics
from funprm.records import LabelledProgram, Split

CONFIG = Path(__file__).with_name("correction.toml")
LABELLING = ("load", "generate", "segment", "rollout", "execute", "reward")
CORRUPTIONS = ("clean", "weak", "lost", "flipped")
MODES: tuple[Mode, ...] = ("none", "joint", "table", "reweight", "table+reweight")
SEEN = 8
EPOCHS = 6.0
COLUMNS = ("error", "auc", "mean", "min", "last")

Programs = Sequence[LabelledProgram]
Evidence = Mapping[str, tuple[int, int]]


def label(config: Path) -> dict[Split, list[LabelledProgram]]:
    """The laboratory's programs by split, with all 32 completions; continues where it stood."""
    with Run(load_config(config), progress_for()) as run:
        for stage in LABELLING:
            STAGES[stage](run)
        splits: tuple[Split, ...] = ("train", "meta", "validation", "test")
        return {split: labelled_programs(run, split) for split in splits}


def truth_of(programs: Programs) -> dict[str, float]:
    """Near-true value of each partial program."""
    return {
        prefix: k / n
        for p in programs
        for prefix, k, n in zip(p.prefixes[:-1], p.k[:-1], p.n[:-1], strict=True)
        if n
    }


def corrupted(programs: Programs, kind: str, seed: int) -> list[LabelledProgram]:
    """The programs with `SEEN` completions per prefix, corrupted in one way."""
    found: dict[str, tuple[int, int]] = {}
    for p in programs:
        text = ""
        for step, prefix, k, n in zip(p.steps[:-1], p.prefixes[:-1], p.k, p.n, strict=False):
            text += step
            rng = np.random.default_rng((seed, zlib.crc32(prefix.encode())))
            if n and prefix not in found:
                seen = min(SEEN, n)
                passed = int(rng.hypergeometric(k, n - k, seen))
                found[prefix] = (_corrupt(kind, passed, seen, text, rng), seen)
    return [_relabelled(p, found) for p in programs]


def _corrupt(kind: str, k: int, n: int, text: str, rng: np.random.Generator) -> int:
    if kind == "lost":
        return int(rng.binomial(k, 0.6))
    if kind == "flipped":
        return n - k if rng.random() < 1 / 6 else k
    if kind == "weak" and any(zlib.crc32(name.encode()) % 3 == 0 for name in _defined(text)):
        return int(rng.binomial(k, 0.3))
    return k


def _defined(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    names = [line[4:].split("(")[0] for line in lines if line.startswith("def ")]
    return [name for name in names if name != "solve"]


def _relabelled(program: LabelledProgram, found: Evidence) -> LabelledProgram:
    pairs = [found.get(prefix, (0, 0)) for prefix in program.prefixes[:-1]]
    pairs.append((program.k[-1], program.n[-1]))
    return replace(program, k=tuple(k for k, _ in pairs), n=tuple(n for _, n in pairs))


@dataclass(frozen=True)
class Trial:
    """One corruption of the laboratory's rewards, one seed."""

    data: TrainingData
    test: Programs
    truth: Mapping[str, float]
    folder: Path
    seed: int

    def measure(self, mode: Mode) -> dict[str, float]:
        """Trains one model; its reward error and its scores on test problems."""
        config = TrainConfig(mode=mode, seed=self.seed, device="cpu", epochs=EPOCHS)
        folder, shared = self.folder / mode, self.folder / MODES[0]
        train(config, self.data, folder, init=shared if mode != MODES[0] else None)
        rewards = truth_of(self.data.train)
        if (folder / "corrected.jsonl").exists():
            rows = map(json.loads, (folder / "corrected.jsonl").read_text().splitlines())
            rewards = {row["prefix"]: row["reward"] for row in rows}
        scores = list(PrmScorer(folder / "model", "cpu").score(self.test))
        found = metrics(self.test, scores, "mean")
        best = found["best_of_n"]
        gap = [rewards[prefix] - self.truth[prefix] for prefix in rewards]
        return {
            "error": float(np.sqrt(np.square(gap).mean())),
            "auc": found["step_auc"],
            **{name: best[name] for name in COLUMNS[2:]},
        }


def table(programs: Mapping[Split, Programs], seeds: int, kinds: Sequence[str]) -> Iterator[str]:
    """The lines of the table, as they come."""
    yield f"| corruption | mode | {' | '.join(COLUMNS)} |"
    yield "|---|---|" + "---|" * len(COLUMNS)
    truth = truth_of(programs["train"])
    for kind in kinds:
        results: dict[Mode, list[dict[str, float]]] = {mode: [] for mode in MODES}
        for seed in range(seeds):
            data = TrainingData(
                train=corrupted(programs["train"], kind, seed),
                meta=programs["meta"],
                validation=programs["validation"],
            )
            with tempfile.TemporaryDirectory() as folder:
                trial = Trial(data, programs["test"], truth, Path(folder), seed)
                for mode in MODES:
                    results[mode].append(trial.measure(mode))
        for mode, found in results.items():
            cells = [f"{np.mean([f[name] for f in found]):.3f}" for name in COLUMNS]
            yield f"| {kind} | {mode} | {' | '.join(cells)} |"


def main() -> None:
    """Labels programs where that is still to do; trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--corruptions", nargs="+", choices=CORRUPTIONS, default=CORRUPTIONS)
    args = parser.parse_args()
    for line in table(label(CONFIG), args.seeds, args.corruptions):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
