"""One bilevel iteration, ours against Betty's DARTS step as the reference implementation uses it.

    git clone https://github.com/leopard-ai/betty /tmp/betty
    python benchmarks/correction.py --betty /tmp/betty

Same model, batches, precision and thread, alternating in one process; times are CPU seconds, which
other load on the machine does not change. An iteration is one optimiser step (Adam, clipping at 1)
on A micro-batches of rewards, then one step of the rewards along the outer loss of one micro-batch
of outcomes. Betty runs as in the reference (`Config(type="darts", retain_graph=True)`, an upper
problem with a table of one entry per row): of each accumulation only the last micro-batch gets a
hypergradient. `error` compares directions with the exact hypergradient of an SGD step: the relative
error after the best common factor, since Betty leaves the learning rate out. Peak memory is that of
a process of its own, above what it needed before its first iteration.
"""

import argparse
import json
import logging
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from funprm.config import TrainConfig
from funprm.datasets.mini import MiniDataset
from funprm.prm.batches import Batch, Example, collate, examples_of
from funprm.prm.correction import hypergradient as meta
from funprm.prm.correction.base import CorrectionBatch, Evidence
from funprm.prm.correction.reward_table import RewardTable
from funprm.prm.models.network import Opened
from funprm.prm.models.opening import open_base
from funprm.prm.training.optimizer_step import Learner
from funprm.prompts import render_statement
from funprm.records import LabelledProgram, key_of
from funprm.steps import find_steps, step_texts

ROUNDS = 5
"""Blocks per method; the fastest counts."""


@dataclass(frozen=True)
class Setting:
    """What both methods share."""

    config: TrainConfig
    inner: list[Example]
    outer: list[Example]
    table: RewardTable

    def opened(self) -> Opened:
        """A fresh model whose head is not zero: hypergradients at zero would be special."""
        opened = open_base(self.config)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            opened.model.network.score.weight.normal_(0, 0.1, generator=generator)
        return opened

    @property
    def parts(self) -> list[list[Example]]:
        """The micro-batches of one iteration."""
        size = self.config.batch
        return [self.inner[i : i + size] for i in range(0, len(self.inner), size)]


def make_setting(config: TrainConfig, seed: int = 0) -> Setting:
    """Programs of the mini benchmark with drawn rewards: cost does not depend on them."""
    count = config.batch * config.accumulate
    problems = list(MiniDataset(train=count, meta=config.batch, validation=0, test=0).load())
    rng = random.Random(seed)
    programs: dict[str, list[LabelledProgram]] = {}
    for problem in problems:
        code = problem.reference or ""
        ends, _ = find_steps(code)
        k = tuple(rng.randrange(9) for _ in ends[:-1])
        programs.setdefault(problem.split, []).append(
            LabelledProgram(
                generation=problem.problem_id,
                problem_id=problem.problem_id,
                statement=render_statement(problem),
                steps=step_texts(code, ends),
                prefixes=tuple(key_of(problem.problem_id, end) for end in ends),
                k=(*k, rng.randrange(2)),
                n=(*(8 for _ in k), 1),
            )
        )
    opened = open_base(config)
    known = Evidence.of(programs["train"])
    table = RewardTable()
    table.prepare(known, seed)

    def examples(split: str, rows: dict[str, int], labels: Any) -> list[Example]:  # noqa: ANN401
        encoded = opened.renderer.encode_all(programs[split], config.max_tokens)
        pairs = [(p, e) for p, e in zip(programs[split], encoded, strict=True) if e is not None]
        return examples_of(pairs, rows, labels=labels)

    inner = examples("train", known.rows, "partial")
    return Setting(config, inner, examples("meta", {}, "outcome"), table)


def ours(setting: Setting) -> Callable[[], None]:
    """One iteration of the package's own learner."""
    learner = Learner(setting.opened(), setting.config)
    return lambda: void(learner.correct(setting.inner, setting.outer, setting.table, 1.0))


def plain(setting: Setting) -> Callable[[], None]:
    """One supervised step on the same rewards."""
    learner = Learner(setting.opened(), setting.config)
    return lambda: void(learner.fit(setting.inner, setting.table, 1.0))


def void(_: object) -> None:
    """Drops a result."""


class Loader:
    """Batches of examples, collated when asked for, as both methods do it; endless."""

    def __init__(self, parts: Sequence[Sequence[Example]], pad: int) -> None:
        self._parts, self._pad = parts, pad

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for examples in self._parts:
            batch = collate(examples, self._pad, "cpu")
            yield {name: getattr(batch, name) for name in Batch.__slots__}


class Table(torch.nn.Module):
    """A learned reward per row."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.rewards = torch.nn.Parameter(start.float())

    def forward(self, rows: Tensor) -> Tensor:
        """The rewards of rows."""
        return self.rewards[rows]


@dataclass(frozen=True)
class Bilevel:
    """Betty's problems, ready to be driven."""

    engine: Any
    table: Table
    parts: int

    def iterate(self) -> None:
        """All micro-batches of one iteration, the last of which moves the rewards."""
        for _ in range(self.parts):
            self.engine.train_step()


def betty(setting: Setting) -> Bilevel:
    """The reference's set-up on our model: inner problem, upper problem with a table of rewards."""
    from betty.configs import Config, EngineConfig  # type: ignore[import-not-found]
    from betty.engine import Engine  # type: ignore[import-not-found]
    from betty.problems import ImplicitProblem  # type: ignore[import-not-found]

    config, opened = setting.config, setting.opened()
    table = Table(setting.table.start)

    class Finetune(ImplicitProblem):  # type: ignore[misc]
        def training_step(self, batch: dict[str, Any]) -> Tensor:
            z = self.module(batch["tokens"], batch["program"], batch["position"])
            return meta.step_loss(z, self.reweight(batch["rows"]), config.loss).mean()

    class Reweight(ImplicitProblem):  # type: ignore[misc]
        def training_step(self, batch: dict[str, Any]) -> Tensor:
            z = self.finetune(batch["tokens"], batch["program"], batch["position"])
            return meta.step_loss(z, batch["targets"], config.loss).mean()

    pad = opened.renderer.pad_id
    # As in the reference; without weight decay it is AdamW, which Betty cannot copy.
    make = torch.optim.SGD if config.optimizer == "sgd" else torch.optim.Adam
    finetune = Finetune(
        name="finetune",
        module=opened.model,
        optimizer=make(opened.model.parameters(), lr=config.lr),
        train_data_loader=Loader(setting.parts, pad),
        config=Config(
            type="darts",
            retain_graph=True,
            gradient_clipping=config.clip,
            gradient_accumulation=config.accumulate,
        ),
    )
    # The rewards' optimiser is SGD of rate 1: the change of a reward is its hypergradient.
    reweight = Reweight(
        name="reweight",
        module=table,
        optimizer=torch.optim.SGD(table.parameters(), lr=1.0),
        train_data_loader=Loader([setting.outer], pad),
        config=Config(type="darts"),
    )
    engine = Engine(
        config=EngineConfig(train_iters=1),
        problems=[reweight, finetune],
        dependencies={"u2l": {reweight: [finetune]}, "l2u": {finetune: [reweight]}},
    )
    engine.train()
    return Bilevel(engine, table, config.accumulate)


def timed(work: Callable[[], None], count: int) -> float:
    """CPU seconds per call."""
    start = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - start) / count


def compare(config: TrainConfig, count: int) -> dict[str, Any]:
    """Times of all methods, alternating, and rows touched per iteration."""
    setting = make_setting(config)
    bilevel = betty(setting)
    calls = {"ours": ours(setting), "betty": bilevel.iterate, "plain": plain(setting)}
    for call in calls.values():
        call()
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            best[name] = min(best[name], timed(call, count))
    rows = [sum(len(e.steps) for e in part) for part in setting.parts]
    return {"seconds": best, "rows": {"ours": sum(rows), "betty": rows[-1]}}


def errors(config: TrainConfig) -> dict[str, float]:
    """Relative error of each hypergradient's direction, one micro-batch, an SGD step."""
    config = replace(config, optimizer="sgd", accumulate=1, head_lr_factor=1.0)
    setting = make_setting(config)
    found = {how: hypergradient(setting, how) for how in ("exact", "fd", "jvp")}
    bilevel = betty(setting)
    before = bilevel.table.rewards.detach().clone()
    bilevel.iterate()
    found["betty"] = before - bilevel.table.rewards.detach()
    exact = found.pop("exact")
    return {name: misfit(h, exact) for name, h in found.items()}


def misfit(found: Tensor, exact: Tensor) -> float:
    """|c found - exact| / |exact| with the best c."""
    cosine = torch.nn.functional.cosine_similarity(found.double(), exact.double(), dim=0)
    return float((1 - cosine.square()).clamp(min=0).sqrt())


def hypergradient(setting: Setting, how: Any) -> Tensor:  # noqa: ANN401
    """dL_out/dr of all rows of the table by one of our methods."""
    config = replace(setting.config, hypergradient=how)
    seen: list[Tensor] = []

    class Spy(RewardTable):
        def update(self, step: CorrectionBatch) -> None:
            seen.append(step.gradient[torch.argsort(step.rows)].clone())

    spy = Spy()
    spy.__dict__.update(setting.table.__dict__)
    Learner(setting.opened(), config).correct(setting.inner, setting.outer, spy, 1.0)
    return seen[0]


def peak(config: TrainConfig, method: str) -> float:
    """MiB that a method's iterations add to the process; called in a process of its own."""
    setting = make_setting(config)
    call = ours(setting) if method == "ours" else betty(setting).iterate
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far becomes the present size
    before = resident("VmRSS")
    for _ in range(3):
        call()
    return resident("VmHWM") - before


def resident(name: str) -> float:
    """A size of this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def memory(arguments: argparse.Namespace, method: str) -> float:
    """`peak` of a method, measured in a process of its own."""
    command = [sys.executable, __file__, "--betty", str(arguments.betty), "--memory", method]
    command += ["--base", arguments.base, "--batch", str(arguments.batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def show(config: TrainConfig, count: int) -> None:
    """One setting's lines."""
    found = compare(config, count)
    seconds, rows = found["seconds"], found["rows"]
    each = {name: 1e6 * seconds[name] / rows[name] for name in rows}
    sys.stdout.write(
        f"{config.accumulate} micro-batches of {config.batch} programs: "
        + ", ".join(f"{name} {1e3 * s:.1f} ms" for name, s in seconds.items())
        + f"; ours/betty {seconds['ours'] / seconds['betty']:.2f}, "
        f"ours/plain {seconds['ours'] / seconds['plain']:.2f}; per row touched "
        f"{each['ours']:.0f} against {each['betty']:.0f} us, {each['betty'] / each['ours']:.1f} "
        f"times cheaper ({rows['ours']} against {rows['betty']} rows)\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--betty", type=Path, required=True, help="a checkout of leopard-ai/betty")
    parser.add_argument("--base", default="tiny", help="folder or hub name of the model")
    parser.add_argument("--batch", type=int, default=16, help="programs per micro-batch")
    parser.add_argument("--count", type=int, default=5, help="iterations per block")
    parser.add_argument("--memory", choices=("ours", "betty"), help="print one peak, in MiB")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.betty))
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    config = TrainConfig(
        base=arguments.base, batch=arguments.batch, device="cpu", hypergradient="fd"
    )
    if arguments.memory:
        sys.stdout.write(f"{peak(config, arguments.memory)}\n")
        return
    show(config, arguments.count)
    # The reference's own setting: one program at a time, so many to an optimiser step.
    show(replace(config, batch=1, accumulate=arguments.batch), arguments.count)
    for clip in (config.clip, 0.0):
        found = errors(replace(config, clip=clip)).items()
        misfits = ", ".join(f"{name} {100 * e:.2g} %" for name, e in found)
        sys.stdout.write(f"relative error of the hypergradient, clipping at {clip:g}: {misfits}\n")
    peaks = {name: memory(arguments, name) for name in ("ours", "betty")}
    sys.stdout.write(f"peak memory: {json.dumps({n: round(p) for n, p in peaks.items()})} MiB\n")


if __name__ == "__main__":
    main()
