"""Runs: all stages or one, the demo, the laboratory, and what a run exports."""

import argparse
import io
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from funprm.cli.shared import (
    add_run_arguments,
    add_set,
    launched,
    print_counts,
    print_json,
    settings_of,
    write,
)

if TYPE_CHECKING:
    from funprm.pipeline.reporting import RunResult

STAGES = (
    ("load", "store the data set's problems"),
    ("generate", "sample programs"),
    ("segment", "cut programs into function steps"),
    ("rollout", "complete every prefix K times"),
    ("execute", "judge programs and completions in isolation"),
    ("reward", "count passed completions per step"),
    ("train", "train the reward models; may be launched by torchrun or accelerate"),
    ("score", "score every step of the test candidates"),
    ("select", "pick one of N by every selector"),
    ("report", "write report.html and summary.json"),
)

_SHARDED = ("generate", "rollout", "execute", "score")


def add_verbs(verbs: Any) -> None:  # noqa: ANN401  (argparse keeps the type private)
    """The verbs on whole runs, and one per stage."""
    run = verbs.add_parser("run", help="all stages of a configuration, from where it stands")
    add_run_arguments(run)
    run.set_defaults(call=_run)
    demo = verbs.add_parser("demo", help="the whole method on the mini benchmark and tiny model")
    demo.add_argument("--quick", action="store_true", help="a smaller size, within 90 seconds")
    demo.add_argument("--seed", type=int, default=0, help="of problems, sampling, training")
    demo.add_argument("--output", help="run folder (default runs/demo or runs/demo-quick)")
    demo.add_argument("--json", action="store_true", help="print the summary as JSON")
    demo.set_defaults(call=_demo)
    lab = verbs.add_parser("lab", help="corrupt rewards in known ways and compare what mends them")
    lab.add_argument("config", type=Path, nargs="?", help="TOML file (default: the shipped one)")
    lab.add_argument("--quick", action="store_true", help="a tiny size, which shows that all works")
    lab.add_argument("--seeds", type=int, help="number of seeds, in place of the file's")
    lab.add_argument("--output", help="folder of results, in place of the file's")
    add_set(lab, "any setting")
    lab.set_defaults(call=_lab)
    for name, text in STAGES:
        verb = verbs.add_parser(name, help=f"stage: {text}")
        add_run_arguments(verb)
        if name in _SHARDED:
            verb.add_argument(
                "--shard", default="", metavar="I/N",
                help="only this part of the problems, such as 2/4; other processes do the others",
            )  # fmt: skip
        verb.set_defaults(call=_stage)
    _add_compare(verbs)
    _add_export(verbs)
    plan = verbs.add_parser("plan", help="what a run will take: tokens, money, time, disk")
    add_run_arguments(plan)
    plan.add_argument("--pilot", action="store_true", help="run a few problems to find out")
    plan.add_argument(
        "--problems", type=int, default=20, help="of the pilot, of each split (default %(default)s)"
    )
    plan.set_defaults(call=_plan)
    merge = verbs.add_parser("merge", help="bring the records of shards and folders into one")
    merge.add_argument("folders", nargs="+", metavar="FOLDER", help="run folders of one file")
    merge.add_argument("--output", help="a run folder, in place of the first of these")
    merge.add_argument("--json", action="store_true", help="print the counts as JSON")
    merge.set_defaults(call=_merge)


def _add_compare(verbs: Any) -> None:  # noqa: ANN401
    compare = verbs.add_parser(
        "compare",
        help="choices of several runs against each other, on the problems that they share",
        description="Compares what selectors of several runs chose, problem by problem: accuracy, "
        "difference to the first run, won and lost, exact tests, and the smallest difference that "
        "the problems can show. Runs may have other candidates; only problems must be the same.",
    )
    compare.add_argument(
        "runs", nargs="+", metavar="RUN",
        help="run folders, or FOLDER@SELECTOR such as runs/a@score:themis; the first one is what "
        "others are compared with",
    )  # fmt: skip
    compare.add_argument(
        "--selector", action="append", default=[], metavar="NAME",
        help="only this selector of all runs; can be repeated (default: all that they share)",
    )  # fmt: skip
    compare.add_argument("--json", action="store_true", help="print everything as JSON")
    compare.set_defaults(call=_compare)


def _add_export(verbs: Any) -> None:  # noqa: ANN401
    export = verbs.add_parser("export", help="a run's programs or rewards in other tools' forms")
    add_run_arguments(export)
    export.add_argument(
        "format",
        help="livecodebench, livecodebench-custom, bigcodebench, evalplus, stepwise or programs",
    )
    export.add_argument("out", type=Path, help="a file that ends in .json, .jsonl or .parquet")
    export.add_argument(
        "--split", default="", help="of which problems (default test; of stepwise, train)"
    )
    export.add_argument(
        "--selector", default="", help="only the program that it chose, such as score:funprm"
    )
    export.add_argument("--model", default="", help="stepwise: with this model's corrected rewards")
    export.set_defaults(call=_export)


def _compare(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import compare

    print_counts(compare(arguments.runs, arguments.selector), arguments.json)


def _run(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import run

    _print_result(run(arguments.config, settings_of(arguments), progress=True), arguments.json)


def _demo(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import demo

    asked = {name: getattr(arguments, name) for name in ("quick", "seed", "output")}
    _print_result(demo(**asked, progress=True), arguments.json)


def _lab(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import run_lab

    settings = settings_of(arguments, ("seeds", "output"))
    write(run_lab(arguments.config, settings, quick=arguments.quick, progress=True).rstrip())


def _stage(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import run_stage

    rank, size = launched()
    if size > 1:
        _train_together(arguments, rank)
        return
    shard = getattr(arguments, "shard", "")
    settings = settings_of(arguments)
    run_stage(arguments.config, arguments.verb, settings, shard=shard, progress=True)


def _train_together(arguments: argparse.Namespace, rank: int) -> None:
    from funprm.config import load_config
    from funprm.console import progress_for
    from funprm.pipeline.stages import train_together

    config = load_config(arguments.config, settings_of(arguments))
    with closing(progress_for(io.StringIO() if rank else None)) as progress:
        train_together(config, progress, first=rank == 0)


def _plan(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import plan

    asked = {name: getattr(arguments, name) for name in ("pilot", "problems")}
    found = plan(arguments.config, settings_of(arguments), **asked, progress=True)
    print_counts(found, arguments.json)


def _merge(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import merge

    print_counts(merge(arguments.folders, arguments.output), arguments.json)


def _print_result(result: "RunResult", as_json: bool) -> None:
    write(result.json() if as_json else result.text())


def _export(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import export

    names = ("format", "out", "split", "selector", "model")
    asked = {name: getattr(arguments, name) for name in names}
    done = export(arguments.config, **asked, settings=settings_of(arguments), progress=True)
    if arguments.json:
        print_json(done)
    else:
        write(f"{done['rows']} rows in {arguments.out}; {done['left_out']} programs left out")
