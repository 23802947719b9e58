"""Accuracy over tokens: each search against best-of-N, on the mini benchmark with the tiny model.

    python benchmarks/search.py --prm runs/demo/prm/funprm/model --keep rows --out search.json

Every search gets the same problems, model and seeds; programs that several searches ask for are
written once, and counted for each. Candidates are chosen by the mean step score, or by public tests
first. Differences to best-of-N are at equal tokens: best-of-N's curve is exact for every N up to
`--most` (all subsets of so many programs), and straight between. Intervals resample problems.

`--ceiling K` adds searches that go by true values: the share of K completions that pass, of every
beginning. `--overhead` measures instead what a search takes beside the models.
"""

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import funprm
from funprm.commands.one_problem import ProcessRewardModel
from funprm.datasets.mini import MiniDataset
from funprm.evaluation.aggregation import AGGREGATORS
from funprm.evaluation.selection import PUBLIC, Candidate, best_of_n, parse_selector
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job, Request, Sample
from funprm.policies.huggingface.policy import HuggingFacePolicy
from funprm.prompts import render_statement
from funprm.records import Json, LabelledProgram, Problem, key_of, seed_of
from funprm.search.adaptive import Adaptive
from funprm.search.base import Search
from funprm.search.beam import Beam
from funprm.search.best_of_n import BestOfN
from funprm.search.early_stopping import EarlyStopping
from funprm.search.grower import Found, Grower
from funprm.search.repair import Repair
from funprm.search.smc import Smc
from funprm.search.thresholds import Tried, choose
from funprm.steps import blank_lines_after

Array = NDArray[np.float64]
RULES = ("score", f"{PUBLIC}+score")


def searches(threshold: float) -> dict[str, Callable[[int], Search]]:
    """What is compared, by name: from N to the search."""
    return {
        "best_of_n": lambda n: BestOfN(n=n),
        "beam": lambda n: Beam(n=n, expand=2),
        "trees": lambda n: Beam(n=n, expand=2, trees=max(1, n // 2)),
        "smc": lambda n: Smc(n=n),
        "early_stopping": lambda n: EarlyStopping(n=n, threshold=threshold),
        "repair": lambda n: Repair(n=n),
        "adaptive": lambda n: Adaptive(n=n),
    }


class World:
    """The problems of a seed, and what is known of programs for them."""

    def __init__(self, seed: int, count: int, split: str, prm: ProcessRewardModel) -> None:
        sizes = dict.fromkeys(("train", "meta", "validation", "test"), 0) | {split: count}
        self.seed, self.prm = seed, prm
        self.problems = list(MiniDataset(**sizes, seed=seed).load())
        self._known: dict[tuple[str, str], Candidate] = {}

    def candidates(self, found: Sequence[Found], executor: LocalExecutor) -> list[list[Candidate]]:
        """The candidates of each problem with scores and verdicts."""
        codes = {
            (item.problem_id, node.code): problem
            for item, problem in zip(found, self.problems, strict=True)
            for node in item.candidates
        }
        self._learn({k: p for k, p in codes.items() if k not in self._known}, executor)
        return [
            [replace(self._known[i.problem_id, n.code], generation=n.key) for n in i.candidates]
            for i in found
        ]

    def _learn(self, new: Mapping[tuple[str, str], Problem], executor: LocalExecutor) -> None:
        pairs = [(render_statement(problem), code) for (_, code), problem in new.items()]
        scores = self.prm.score_pairs(pairs) if pairs else []
        for key, found in zip(new, scores, strict=True):
            self._known[key] = Candidate(generation="", scores={"prm": tuple(found)})
        jobs = [
            Job(key=json.dumps([*key, name]), code=key[1], suite=suite)
            for key, problem in new.items()
            for name, suite in (("hidden", problem.hidden), ("public", problem.public))
            if suite is not None
        ]
        for verdict in executor.judge(jobs):
            problem_id, code, name = json.loads(verdict.key)
            passed, key = verdict.passed, (problem_id, code)
            part = (
                {"passed": passed} if name == "hidden" else {"public_passed": float(bool(passed))}
            )
            self._known[key] = replace(self._known[key], **part)


class TrueValues:
    """Values by completing each beginning; a scorer as `interfaces.Scorer`."""

    def __init__(
        self, world: World, policy: HuggingFacePolicy, executor: LocalExecutor, k: int
    ) -> None:
        self._world, self._policy, self._executor, self._k = world, policy, executor, k
        self._problems = {problem.problem_id: problem for problem in world.problems}
        self._values: dict[tuple[str, str], float] = {}

    def identity(self) -> Mapping[str, Json]:
        """Which policy, and how many completions."""
        return {"true values": self._k, **self._policy.identity()}

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        """The value of each whole beginning, as that of its last step."""
        wanted = {(item.problem_id, "".join(item.steps)) for item in programs}
        self._learn(sorted(wanted - self._values.keys()))
        for item in programs:
            yield (self._values[item.problem_id, "".join(item.steps)],)

    def _learn(self, prefixes: Sequence[tuple[str, str]]) -> None:
        requests = [
            Request(
                key=key_of(name, prefix, index),
                problem=self._problems[name],
                index=index,
                seed=seed_of("value", name, prefix, index),
                prefix=prefix,
                blank_lines=blank_lines_after(prefix),
            )
            for name, prefix in prefixes
            for index in range(self._k)
        ]
        codes = {sample.key: sample.code for sample in self._policy.sample(requests)}
        jobs = {(r.problem.problem_id, codes[r.key]): r.problem.hidden for r in requests}
        passed = {
            verdict.key: bool(verdict.passed)
            for verdict in self._executor.judge(
                Job(key=json.dumps(key), code=key[1], suite=suite) for key, suite in jobs.items()
            )
        }
        for name, prefix in prefixes:
            ends = [codes[key_of(name, prefix, index)] for index in range(self._k)]
            right = [passed[json.dumps((name, code))] for code in ends]
            self._values[name, prefix] = sum(right) / self._k


# --- measuring ---


def measure(
    world: World,
    searches_: Mapping[str, Search],
    grower: Grower,
    executor: LocalExecutor,
    most: int,
) -> Json:
    """Per search, of each problem: tokens and whether the chosen program is right."""
    whole = grower.grow(BestOfN(n=most), world.problems)
    pool = world.candidates(whole, executor)
    sizes = range(1, most + 1)
    rows: dict[str, Json] = {"curve": {"tokens": [x.spent.written / most for x in whole]}}
    for rule in RULES:
        selector = parse_selector(rule.replace("score", "score:prm"), AGGREGATORS)
        rows["curve"][rule] = [best_of_n(selector, row, sizes) for row in pool]
    for name, search in searches_.items():
        found = grower.grow(search, world.problems)
        candidates = world.candidates(found, executor)
        rows[name] = {
            "tokens": [item.spent.written for item in found],
            "read": [item.spent.read for item in found],
            "any": [any(c.passed for c in row) for row in candidates],
            **{rule: [_chosen(rule, row) for row in candidates] for rule in RULES},
        }
        sys.stderr.write(f"seed {world.seed}: {name}\n")
    return rows


def _chosen(rule: str, candidates: Sequence[Candidate]) -> float:
    """The chance that the chosen candidate is right: ties are broken at random."""
    if not candidates:
        return 0.0
    selector = parse_selector(rule.replace("score", "score:prm"), AGGREGATORS)
    best = selector.best(candidates)
    return sum(bool(candidates[i].passed) for i in best) / len(best)


def summary(rows: Sequence[Mapping[str, Json]], resamples: int = 2000) -> Json:
    """Accuracies, tokens, and differences to best-of-N at equal tokens, with 95 % intervals."""
    problems = sum(len(row["curve"]["tokens"]) for row in rows)
    drawn = np.random.default_rng(0).multinomial(problems, [1 / problems] * problems, resamples)
    weights = np.vstack([np.ones(problems), drawn]) / problems
    joined = {
        name: {key: np.concatenate([row[name][key] for row in rows]) for key in rows[0][name]}
        for name in rows[0]
    }
    curve = joined.pop("curve")
    grid = weights @ curve["tokens"]
    result = {}
    for name, found in joined.items():
        tokens = weights @ found["tokens"]
        line: dict[str, Json] = {
            "tokens": round(float(tokens[0]), 1),
            "read": round(float(found["read"].mean()), 1),
            "any": round(float(found["any"].mean()), 4),
        }
        for rule in RULES:
            accuracy, heights = weights @ found[rule], weights @ curve[rule]
            reference = np.array(
                [_at(t / g, h) for t, g, h in zip(tokens, grid, heights, strict=True)]
            )
            needed = np.array(
                [
                    _where(a, h) * g / t
                    for a, h, g, t in zip(accuracy, heights, grid, tokens, strict=True)
                ]
            )
            line[rule] = {
                "accuracy": round(float(accuracy[0]), 4),
                "difference": _interval(accuracy - reference),
                "tokens_of_best_of_n": _interval(needed),
            }
        result[name] = line
    heights = {rule: np.round(curve[rule].mean(0), 4).tolist() for rule in RULES}
    return {
        "problems": problems,
        "tokens_per_program": round(float(grid[0]), 2),
        "best_of_n": heights,
        "searches": result,
    }


def _at(n: float, heights: Array) -> float:
    """Best-of-N's accuracy at a number of programs that need not be whole."""
    return float(np.interp(n, np.arange(1, len(heights) + 1), heights))


def _where(accuracy: float, heights: Array) -> float:
    """How many programs best-of-N needs for an accuracy; infinite: more than were written."""
    rising = np.maximum.accumulate(heights)
    if accuracy > rising[-1]:
        return float("inf")
    return float(np.interp(accuracy, rising, np.arange(1, len(heights) + 1)))


def _interval(values: Array) -> list[float | None]:
    """The value of all problems, and the middle 95 % over resamples; None: not bounded."""
    low, high = np.quantile(values[1:], [0.025, 0.975], method="nearest")
    return [round(float(x), 4) if np.isfinite(x) else None for x in (values[0], low, high)]


def chosen_threshold(world: World, n: int, loss: float) -> Json:
    """Of early stopping, on validation problems; and what it would have done to these."""
    found = Grower(HuggingFacePolicy(), seed=world.seed).grow(BestOfN(n=n), world.problems)
    with LocalExecutor(workers=2) as executor:
        pools = world.candidates(found, executor)
    tried = [
        [Tried(scores=c.scores["prm"], passed=bool(c.passed)) for c in row if c.scores["prm"]]
        for row in pools
    ]
    return asdict(choose(tried, loss=loss))


def overhead(prm: ProcessRewardModel, n: int = 64) -> Json:
    """Share of a beam search's time that is spent neither in the policy nor in the scorer."""
    policy, inside = HuggingFacePolicy(), 0.0
    world = World(0, 1, "test", prm)

    def timed(items: Iterator[Any]) -> Iterator[Any]:
        nonlocal inside
        while True:
            start = time.perf_counter()
            item = next(items, None)
            inside += time.perf_counter() - start
            if item is None:
                return
            yield item

    class Policy(HuggingFacePolicy):
        def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
            return timed(super().sample(requests))

    class Scorer:
        identity = staticmethod(prm.opened.scorer.identity)

        def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
            return timed(prm.opened.scorer.score(programs))

    policy = Policy()
    list(policy.sample([]))
    shares = []
    for seed in range(6):
        inside, start = 0.0, time.perf_counter()
        Grower(policy, Scorer(), seed=seed, max_steps=12).grow(Beam(n=n), world.problems)
        total = time.perf_counter() - start
        shares.append((total - inside) / total)
    return {"in_flight": n, "share": round(float(np.median(shares[1:])), 4)}


def main() -> None:
    """Measures, and prints or writes the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prm", required=True, help="folder of a reward model")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--keep", type=Path, help="folder that keeps every seed's numbers")
    parser.add_argument("--problems", type=int, default=100, help="per seed")
    parser.add_argument("--sizes", type=int, nargs="+", default=[8])
    parser.add_argument("--most", type=int, default=32, help="programs of best-of-N's curve")
    parser.add_argument("--loss", type=float, default=0.01, help="that early stopping may cost")
    parser.add_argument("--ceiling", type=int, default=0, help="completions per true value")
    parser.add_argument("--overhead", action="store_true", help="measure that instead")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    prm = funprm.load_prm(arguments.prm)
    if not arguments.overhead and arguments.keep is None:
        parser.error("--keep FOLDER is needed")
    result = overhead(prm) if arguments.overhead else compared(prm, arguments)
    text = json.dumps(result, indent=1) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def compared(prm: ProcessRewardModel, arguments: argparse.Namespace) -> Json:
    """All searches on all seeds."""
    arguments.keep.mkdir(parents=True, exist_ok=True)
    # One set of validation problems for all seeds: a threshold is chosen once.
    validation = World(1000, 2 * arguments.problems, "validation", prm)
    threshold = kept(
        arguments.keep / "threshold.json", lambda: chosen_threshold(validation, 8, arguments.loss)
    )
    rows = [
        kept(
            arguments.keep / f"seed-{seed}.json",
            functools.partial(of_seed, seed, prm, threshold["value"], arguments),
        )
        for seed in arguments.seeds
    ]
    return {
        "seeds": arguments.seeds,
        "threshold": threshold,
        "ceiling": arguments.ceiling,
        **summary(rows),
    }


def kept(path: Path, work: Callable[[], Json]) -> Json:
    """What is in a file; where there is none, what the work gives, which is stored there."""
    if not path.exists():
        path.write_text(json.dumps(work()), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def of_seed(
    seed: int, prm: ProcessRewardModel, threshold: float, arguments: argparse.Namespace
) -> Json:
    """What every search does on the problems of a seed."""
    world, policy = World(seed, arguments.problems, "test", prm), HuggingFacePolicy()
    named = {
        f"{name}, N = {n}": make(n)
        for name, make in searches(threshold).items()
        for n in arguments.sizes
        if not (arguments.ceiling and name in ("repair", "adaptive"))
    }
    with LocalExecutor(workers=1) as executor:
        scorer: Any = prm.opened.scorer
        if arguments.ceiling:
            scorer = TrueValues(world, policy, executor, arguments.ceiling)
        grower = Grower(policy, scorer, seed=seed, max_steps=12)
        return measure(world, named, grower, executor, arguments.most)


if __name__ == "__main__":
    main()
