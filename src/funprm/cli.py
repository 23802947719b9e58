"""The command line: parse, call, print. One verb per stage, and tools that stand alone."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from funprm import __version__
from funprm.errors import FunprmError, InputError

STAGES = (
    ("load", "store the data set's problems"),
    ("generate", "sample programs"),
    ("segment", "cut programs into function steps"),
    ("rollout", "complete every prefix K times"),
    ("execute", "judge programs and completions in isolation"),
    ("reward", "count passed completions per step"),
    ("train", "train the reward models"),
    ("score", "score every step of the test candidates"),
    ("select", "pick one of N by every selector"),
    ("report", "write report.html and summary.json"),
)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="funprm",
        description="Process reward models for code: every function is a step.",
        epilog="Exit status: 0 done, 2 wrong input or a refused environment, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"funprm {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_run_verbs(verbs)
    _add_tools(verbs)
    return parser


def _add_run_verbs(verbs: Any) -> None:  # noqa: ANN401  (argparse keeps the type private)
    run = verbs.add_parser("run", help="all stages of a configuration, from where it stands")
    _add_run_arguments(run)
    run.set_defaults(call=_run)
    demo = verbs.add_parser("demo", help="the whole method on the mini benchmark and tiny model")
    demo.add_argument("--quick", action="store_true", help="a smaller size, within 90 seconds")
    demo.add_argument("--seed", type=int, default=0, help="of problems, sampling, training")
    demo.add_argument("--output", help="run folder (default runs/demo or runs/demo-quick)")
    demo.add_argument("--json", action="store_true", help="print the summary as JSON")
    demo.set_defaults(call=_demo)
    for name, text in STAGES:
        verb = verbs.add_parser(name, help=f"stage: {text}")
        _add_run_arguments(verb)
        verb.set_defaults(call=_stage)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="a run's TOML file")
    parser.add_argument("--output", help="run folder, in place of the file's")
    parser.add_argument("--seed", type=int, help="in place of the file's")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting, such as generate.n=4; can be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def _add_tools(verbs: Any) -> None:  # noqa: ANN401
    steps = verbs.add_parser("steps", help="show how a program is cut into function steps")
    steps.add_argument("file", help="a program; - reads standard input")
    steps.add_argument("--json", action="store_true", help="print ends and names as JSON")
    steps.set_defaults(call=_steps)
    judge = verbs.add_parser("judge", help="judge programs by the tests of their problems")
    judge.add_argument("problems", type=Path, help="problems.jsonl, as the stage `load` writes it")
    judge.add_argument("programs", type=Path, help="JSON lines with key, problem_id and code")
    judge.add_argument("--out", type=Path, required=True, help="verdicts.jsonl; resumed if there")
    judge.add_argument("--suite", choices=("hidden", "public"), default="hidden")
    judge.add_argument("--workers", type=int, default=0, help="default: one per core")
    judge.add_argument("--compat", action="store_true", help="the official rules where they differ")
    judge.add_argument("--python", default="", help="interpreter for the programs")
    judge.add_argument(
        "--require-isolation", nargs="*", default=[], metavar="LAYER", help="see `funprm doctor`"
    )
    judge.add_argument("--json", action="store_true", help="print the counts as JSON")
    judge.set_defaults(call=_judge)
    validate = verbs.add_parser("validate-problems", help="check a file of one's own problems")
    validate.add_argument("file", help="JSON lines; the format is in docs/data.md")
    validate.set_defaults(call=_validate)
    doctor = verbs.add_parser("doctor", help="show which isolation this machine offers")
    doctor.add_argument("--json", action="store_true", help="print the probe as JSON")
    doctor.set_defaults(call=_doctor)


def _run(arguments: argparse.Namespace) -> None:
    from funprm.console import progress_for
    from funprm.pipeline.stages import run_all

    with closing(progress_for()) as progress:
        _print_summary(run_all(_config(arguments), progress), arguments.json)


def _demo(arguments: argparse.Namespace) -> None:
    from funprm.config import load_config
    from funprm.console import progress_for
    from funprm.pipeline.stages import demo_config, run_all

    name = "demo-quick" if arguments.quick else "demo"
    output = arguments.output or f"runs/{name}" + (f"-{arguments.seed}" if arguments.seed else "")
    given = {"output": output, "seed": arguments.seed, "dataset.seed": arguments.seed}
    config = load_config(demo_config(name), given)
    with closing(progress_for()) as progress:
        _print_summary(run_all(config, progress), arguments.json)


def _stage(arguments: argparse.Namespace) -> None:
    from funprm.console import progress_for
    from funprm.pipeline.stages import run_stage

    with closing(progress_for()) as progress:
        run_stage(_config(arguments), progress, arguments.verb)


def _config(arguments: argparse.Namespace) -> Any:  # noqa: ANN401
    from funprm.config import load_config, parse_override

    given = {"output": arguments.output, "seed": arguments.seed}
    given = {key: value for key, value in given.items() if value is not None}
    return load_config(arguments.config, {**given, **dict(map(parse_override, arguments.set))})


def _print_summary(summary: Any, as_json: bool) -> None:  # noqa: ANN401
    _write(summary.json() if as_json else summary.text())


def _steps(arguments: argparse.Namespace) -> None:
    import msgspec

    from funprm.steps import find_steps, step_texts

    code = _read_text(arguments.file)
    ends, names = find_steps(code)
    if arguments.json:
        _write(msgspec.json.encode({"ends": ends, "names": names}).decode())
        return
    for number, (name, text) in enumerate(zip(names, step_texts(code, ends), strict=True), 1):
        _write(f"# --- step {number}: {name or '(no function)'} ---\n{text.rstrip()}")


def _read_text(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode()
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}; give a program's path or -") from (
            error
        )
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: {error}") from error


def _judge(arguments: argparse.Namespace) -> None:
    import msgspec

    from funprm.console import progress_for
    from funprm.executors.files import FileJudge
    from funprm.executors.local import LocalExecutor

    with (
        LocalExecutor(
            workers=arguments.workers,
            compat=arguments.compat,
            python=arguments.python,
            require_isolation=arguments.require_isolation,
        ) as executor,
        closing(progress_for()) as progress,
    ):
        sys.stderr.write(executor.describe() + "\n")
        judge = FileJudge(
            executor=executor,
            suite=arguments.suite,
            warn=lambda line: sys.stderr.write(f"funprm: {' '.join(line.split())}\n"),
            progress=progress,
        )
        counts = judge.judge(arguments.problems, arguments.programs, arguments.out)
        shown = ", ".join(f"{n} {status}" for status, n in counts.items()) or "nothing to judge"
        progress.finish(shown)
    _write(msgspec.json.encode(counts).decode() if arguments.json else shown)


def _validate(arguments: argparse.Namespace) -> None:
    from funprm.datasets.jsonl import JsonlDataset

    count = sum(1 for _ in JsonlDataset(path=arguments.file).load())
    _write(f"{count} problems, all usable")


def _doctor(arguments: argparse.Namespace) -> None:
    import msgspec

    from funprm.executors.local import doctor

    rows = doctor()
    if arguments.json:
        _write(msgspec.json.encode(rows).decode())
        return
    for layer, on, why, cure in rows:
        _write(f"{'on ' if on else 'off'}  {layer:<12} {'; '.join(filter(None, (why, cure)))}")


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 2 wrong input or refused environment, 130 interrupted.
    """
    arguments = build_parser().parse_args(argv)
    call: Callable[[argparse.Namespace], None] = arguments.call
    try:
        call(arguments)
        sys.stdout.flush()
    except FunprmError as error:
        sys.stderr.write(f"funprm: {' '.join(str(error).split())}\n")
        return 2
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"funprm: this needs the package {error.name!r}, which is not installed: "
            "pip install 'funprm[train,serve,report]'\n"
        )
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("funprm: interrupted; run the same command again to go on\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
