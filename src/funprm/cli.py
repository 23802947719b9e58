"""The command line: parse, call, print. One verb per stage, and tools that stand alone."""

import argparse
import codecs
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from funprm import __version__
from funprm.errors import ConfigError, FunprmError, InputError, missing_package

if TYPE_CHECKING:
    from funprm.commands.check_dataset import Check
    from funprm.commands.check_prompt import PromptCheck
    from funprm.commands.grade import Grades
    from funprm.commands.judged import Judged
    from funprm.pipeline.reporting import RunResult

_JUDGE_OPTIONS = ("workers", "compat", "python", "require_isolation")
"""Options of `judge` and `grade` that are settings of their executor."""
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


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="funprm",
        description="Process reward models for code: every function is a step.",
        epilog="Exit status: 0 done, 2 wrong input or a refused environment, 130 interrupted; "
        "`judge`, `check-dataset` and `solve` have more, see there.",
    )
    parser.add_argument("--version", action="version", version=f"funprm {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_run_verbs(verbs)
    _add_solve(verbs)
    _add_serve(verbs)
    _add_data_verbs(verbs)
    _add_check_prompt(verbs)
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
    lab = verbs.add_parser("lab", help="corrupt rewards in known ways and compare what mends them")
    lab.add_argument("config", type=Path, nargs="?", help="TOML file (default: the shipped one)")
    lab.add_argument("--quick", action="store_true", help="a tiny size, which shows that all works")
    lab.add_argument("--seeds", type=int, help="number of seeds, in place of the file's")
    lab.add_argument("--output", help="folder of results, in place of the file's")
    _add_set(lab, "any setting")
    lab.set_defaults(call=_lab)
    for name, text in STAGES:
        verb = verbs.add_parser(name, help=f"stage: {text}")
        _add_run_arguments(verb)
        verb.set_defaults(call=_stage)


def _add_set(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="a run's TOML file")
    parser.add_argument("--output", help="run folder, in place of the file's")
    parser.add_argument("--seed", type=int, help="in place of the file's")
    _add_set(parser, "any other setting, such as generate.n=4; can be repeated")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def _add_solve(verbs: Any) -> None:  # noqa: ANN401
    solve = verbs.add_parser(
        "solve",
        help="write N programs for one problem and print the best one",
        description="Samples N programs for a problem, runs them on the tests in isolation, and "
        "prints the one that passes the tests and that the reward model scores best.",
        epilog="Exit status: 0 the printed program passes all tests, or there are none; 1 it "
        "passes only some, or none; 3 no answer holds a program, nothing is printed.",
    )
    solve.add_argument("statement", help="file with the problem's text; - reads standard input")
    solve.add_argument(
        "--tests", metavar="FILE", help="tests as in docs/data.md, JSON lines or list"
    )
    solve.add_argument(
        "--example", nargs=2, action="append", default=[], metavar=("INPUT", "OUTPUT"),
        help="a test; JSON with --entry-point (INPUT: the list of arguments); can be repeated",
    )  # fmt: skip
    solve.add_argument("--entry-point", metavar="NAME", help="function or method to be written; "
                       "without it programs read standard input")  # fmt: skip
    solve.add_argument("--starter", metavar="FILE", help="code that the program begins with")
    solve.add_argument("-n", type=int, help="programs to sample (default 8)")
    solve.add_argument("--prm", default="", metavar="FOLDER", help="a trained reward model")
    solve.add_argument("--config", type=Path, help="a run's TOML file: policy, executor, seed, ...")
    solve.add_argument("--seed", type=int, help="in place of the file's")
    _add_set(solve, "a setting, such as policy.model=NAME; can be repeated")
    solve.add_argument(
        "--output", metavar="FOLDER", help="keep all answers; the same command goes on"
    )
    solve.add_argument("--scores", action="store_true", help="list all candidates on stderr")
    solve.add_argument("--json", action="store_true", help="print everything as JSON")
    solve.set_defaults(call=_solve)


def _add_serve(verbs: Any) -> None:  # noqa: ANN401
    serve = verbs.add_parser(
        "serve",
        help="best-of-N, scores and verdicts over HTTP",
        description="Serves best-of-N behind the protocols of OpenAI and Anthropic, scores of "
        "functions, verdicts in isolation, and a page for people.",
        epilog="A key that clients must have is read from the environment variable that --key-env "
        "names; without one only this machine is served. Ctrl-C or SIGTERM finishes what is "
        "accepted.",
    )
    serve.add_argument(
        "--upstream", default="", metavar="URL",
        help="a server of OpenAI's protocol, such as http://127.0.0.1:8001/v1",
    )  # fmt: skip
    serve.add_argument(
        "--upstream-key-env", default="OPENAI_API_KEY", metavar="NAME",
        help="environment variable with its key (default %(default)s)",
    )  # fmt: skip
    serve.add_argument("--prm", default="", metavar="FOLDER", help="a trained reward model")
    serve.add_argument("--config", type=Path, help="a run's TOML file: policy and executor count")
    serve.add_argument("--host", default="127.0.0.1", help="address to serve (default %(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="default %(default)s; 0: any")
    serve.add_argument(
        "--key-env", default="FUNPRM_SERVE_KEY", metavar="NAME",
        help="environment variable with the clients' key (default %(default)s)",
    )  # fmt: skip
    _add_set(serve, "a setting, such as serve.n=16 or policy.name=huggingface; can be repeated")
    serve.set_defaults(call=_serve)


def _add_data_verbs(verbs: Any) -> None:  # noqa: ANN401
    export = verbs.add_parser("export", help="a run's programs or rewards in other tools' forms")
    _add_run_arguments(export)
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
    imports = verbs.add_parser("import", help="programs of other tools as generations, to replay")
    imports.add_argument("file", type=Path, help="LiveCodeBench, BigCodeBench or EvalPlus outputs")
    imports.add_argument("--out", type=Path, required=True, help="generations as JSON lines")
    imports.add_argument("--verdicts", type=Path, help="also write the other tool's verdicts")
    imports.add_argument(
        "--problems", default="", help="for bare completions: a data set's name, or a problem file"
    )
    _add_set(imports, "a setting of that data set, such as dataset.path=data; can be repeated")
    imports.add_argument("--json", action="store_true", help="print the counts as JSON")
    imports.set_defaults(call=_import)
    check = verbs.add_parser(
        "check-dataset",
        help="judge a data set's reference solutions, and stubs that must fail",
        epilog="Exit status: 0 all references pass and no stub; 1 not so, or the judge refused "
        "some; 2 no reference was judged, or as usual.",
    )
    check.add_argument(
        "dataset", help="a data set's name, a run's TOML file, or a file of problems"
    )
    _add_set(check, "a setting, such as dataset.path=data; can be repeated")
    check.add_argument("--json", action="store_true", help="print all counts and ids as JSON")
    check.set_defaults(call=_check_dataset)


def _add_check_prompt(verbs: Any) -> None:  # noqa: ANN401
    check = verbs.add_parser(
        "check-prompt",
        help="try prompt styles with a model on a few problems: run this first",
        description="Asks a policy for one program per problem in each style, judges the programs, "
        "counts their functions, copied examples and cut-off answers, and advises a style.",
    )
    check.add_argument(
        "problems", help="a data set's name, a run's TOML file, or a file of problems"
    )
    check.add_argument(
        "--style", action="append", default=[], metavar="NAME",
        help="a style, or a file with a template; can be repeated (default: all; plain is always "
        "tried)",
    )  # fmt: skip
    check.add_argument("-n", type=int, default=20, help="problems to try (default 20)")
    check.add_argument(
        "--split", choices=("train", "meta", "validation", "test"), help="only of these problems"
    )
    check.add_argument("--seed", type=int, help="in place of the file's")
    _add_set(check, "a setting, such as policy.model=NAME; can be repeated")
    check.add_argument(
        "--output", metavar="FOLDER", help="keep all answers; the same command goes on"
    )
    check.add_argument("--json", action="store_true", help="print everything as JSON")
    check.set_defaults(call=_check_prompt)


def _add_tools(verbs: Any) -> None:  # noqa: ANN401
    steps = verbs.add_parser("steps", help="show how a program is cut into function steps")
    steps.add_argument("file", help="a program; - reads standard input")
    steps.add_argument("--json", action="store_true", help="print ends and names as JSON")
    steps.set_defaults(call=_steps)
    judge = verbs.add_parser(
        "judge",
        help="judge programs by the tests of their problems",
        epilog="Exit status: 0 all programs were judged; 1 some were not, or could not be read; "
        "2 none was, or as usual.",
    )
    judge.add_argument(
        "problems", help="a data set's name, a run's TOML file, or a file of problems"
    )
    judge.add_argument(
        "programs", type=Path,
        help="rows with problem_id (or task_id, question_id) and code (or solution, completion)",
    )  # fmt: skip
    judge.add_argument(
        "--out", type=Path, required=True,
        help="verdicts as JSON lines; those that still hold are kept",
    )  # fmt: skip
    _add_judging(judge)
    judge.set_defaults(call=_judge)
    grade = verbs.add_parser(
        "grade",
        help="judge finished outputs of other tools: pass@k, intervals, files side by side",
        epilog="Exit status: 0 all programs were judged; 1 some were not, or could not be read; "
        "2 none of a file was, or as usual.",
    )
    grade.add_argument(
        "files", type=Path, nargs="+", metavar="FILE",
        help="outputs of LiveCodeBench's runner or for its custom evaluator, of EvalPlus or "
        "BigCodeBench, or rows of programs; the form is recognised",
    )  # fmt: skip
    grade.add_argument(
        "--benchmark", required=True, metavar="NAME",
        help="livecodebench, bigcodebench, humaneval, mbpp, ..., a run's TOML file, or a file of "
        "problems",
    )  # fmt: skip
    grade.add_argument(
        "--out", metavar="FOLDER", help="keep verdicts there; the same command then goes on"
    )
    grade.add_argument(
        "--k", type=int, nargs="+", default=[], help="of pass@k (default: 1, 5, ...)"
    )
    _add_judging(grade)
    grade.set_defaults(call=_grade)
    validate = verbs.add_parser("validate-problems", help="check a file of one's own problems")
    validate.add_argument("file", help="JSON lines; the format is in docs/data.md")
    validate.set_defaults(call=_validate)
    doctor = verbs.add_parser("doctor", help="show which isolation this machine offers")
    doctor.add_argument("--json", action="store_true", help="print the probe as JSON")
    doctor.set_defaults(call=_doctor)


def _add_judging(verb: argparse.ArgumentParser) -> None:
    _add_set(verb, "a setting, such as dataset.path=data; can be repeated")
    verb.add_argument("--suite", choices=("hidden", "public"), default="hidden")
    verb.add_argument("--workers", type=int, default=0, help="default: one per core")
    verb.add_argument("--compat", action="store_true", help="the official rules where they differ")
    verb.add_argument("--python", default="", help="interpreter for the programs")
    verb.add_argument(
        "--require-isolation", nargs="*", default=[], metavar="LAYER", help="see `funprm doctor`"
    )
    verb.add_argument("--json", action="store_true", help="print the counts as JSON")


def _run(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import run

    _print_result(run(arguments.config, _settings(arguments), progress=True), arguments.json)


def _demo(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import demo

    asked = {name: getattr(arguments, name) for name in ("quick", "seed", "output")}
    _print_result(demo(**asked, progress=True), arguments.json)


def _lab(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import run_lab

    settings = _settings(arguments, ("seeds", "output"))
    _write(run_lab(arguments.config, settings, quick=arguments.quick, progress=True).rstrip())


def _stage(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import run_stage

    rank, size = _launched()
    if size > 1:
        _train_together(arguments, rank)
        return
    run_stage(arguments.config, arguments.verb, _settings(arguments), progress=True)


def _train_together(arguments: argparse.Namespace, rank: int) -> None:
    from funprm.config import load_config
    from funprm.console import progress_for
    from funprm.pipeline.stages import train_together

    config = load_config(arguments.config, _settings(arguments))
    with closing(progress_for(io.StringIO() if rank else None)) as progress:
        train_together(config, progress, first=rank == 0)


def _settings(
    arguments: argparse.Namespace, options: Sequence[str] = ("output", "seed")
) -> dict[str, Any]:
    """What some options and `--set` put in place of a file's settings."""
    given = {name: getattr(arguments, name) for name in options}
    given = {name: value for name, value in given.items() if value is not None}
    return {**given, **_overrides(arguments)}


def _overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    from funprm.config import parse_override

    return dict(map(parse_override, arguments.set))


def _solve(arguments: argparse.Namespace) -> int:
    from funprm.api.problems import solve

    try:
        solution = solve(
            _problem(arguments),
            prm=arguments.prm or None,
            n=arguments.n,
            config=arguments.config,
            settings=_settings(arguments, ("seed",)),
            output=arguments.output,
            progress=True,
        )
    except KeyboardInterrupt:
        kept = "run the same command again to go on"
        lost = "give --output FOLDER to keep answers"
        raise KeyboardInterrupt(kept if arguments.output else lost) from None
    if arguments.scores:
        sys.stderr.write(solution.table() + "\n")
    sys.stderr.write(f"funprm: {solution.summary}\n")
    if arguments.json:
        _write(solution.json())
    elif solution.code:
        _write(solution.code.rstrip("\n"))
    return {"passes": 0, "untested": 0, "fails": 1, "none": 3}[solution.found]


def _serve(arguments: argparse.Namespace) -> None:
    from funprm.serve.run import Serving, serve

    names = ("host", "port", "upstream", "upstream_key_env", "prm", "key_env", "config")
    asked = {name: getattr(arguments, name) for name in names}
    serve(Serving(**asked, settings=_overrides(arguments)))


def _problem(arguments: argparse.Namespace) -> Any:  # noqa: ANN401
    from funprm.datasets.single import example, problem_of, read_tests

    where = arguments.tests or "--example"
    fields: dict[str, Any] = {}
    if arguments.tests:
        fields = read_tests(_read_text(arguments.tests).encode(), where)
    if arguments.entry_point:
        fields["entry_point"] = arguments.entry_point
    if arguments.starter:
        fields["starter_code"] = _read_text(arguments.starter)
    values = bool(fields.get("entry_point"))
    typed = [example(texts, values=values) for texts in arguments.example]
    if typed:
        fields["tests"] = [*fields.get("tests", []), *typed]
    return problem_of(_read_text(arguments.statement), fields, where)


def _print_result(result: "RunResult", as_json: bool) -> None:
    _write(result.json() if as_json else result.text())


def _steps(arguments: argparse.Namespace) -> None:
    from funprm.steps import find_steps, step_texts

    code = _read_text(arguments.file)
    if not code.strip():
        raise InputError(f"{arguments.file} is empty: expected a program")
    ends, names = find_steps(code)
    if arguments.json:
        _print_json({"ends": ends, "names": names})
        return
    for number, (name, text) in enumerate(zip(names, step_texts(code, ends), strict=True), 1):
        _write(f"# --- step {number}: {name or '(no function)'} ---\n{text.rstrip()}")


def _read_text(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}; give a file's path or -") from (
            error
        )
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: {error}") from error


def _judge(arguments: argparse.Namespace) -> int:
    from funprm.api.runs import judge_file

    judged = judge_file(
        arguments.problems,
        arguments.programs,
        arguments.out,
        suite=arguments.suite,
        settings=_judge_settings(arguments),
        warn=_warn,
        progress=True,
    )
    _print_counts(judged, arguments.json)
    return judged.exit_code


def _grade(arguments: argparse.Namespace) -> int:
    from funprm.api.runs import grade

    grades = grade(
        arguments.files,
        arguments.benchmark,
        out=arguments.out,
        tries=arguments.k,
        suite=arguments.suite,
        settings=_judge_settings(arguments),
        warn=_warn,
        progress=True,
    )
    _print_counts(grades, arguments.json)
    return grades.exit_code


def _judge_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    options = {name: getattr(arguments, name) for name in _JUDGE_OPTIONS}
    settings = {f"executor.{name}": value for name, value in options.items() if value}
    return {**settings, **_overrides(arguments)}


def _warn(line: str) -> None:
    sys.stderr.write(f"funprm: {' '.join(line.split())}\n")


def _export(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import export

    names = ("format", "out", "split", "selector", "model")
    asked = {name: getattr(arguments, name) for name in names}
    done = export(arguments.config, **asked, settings=_settings(arguments), progress=True)
    if arguments.json:
        _print_json(done)
    else:
        _write(f"{done['rows']} rows in {arguments.out}; {done['left_out']} programs left out")


def _import(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import import_programs

    counts = import_programs(
        arguments.file,
        arguments.out,
        verdicts=arguments.verdicts,
        problems=arguments.problems,
        settings=_overrides(arguments),
    )
    if arguments.json:
        _print_json(counts)
    else:
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        _write(f"{sum(counts.values())} programs in {arguments.out}: {shown}")


def _check_dataset(arguments: argparse.Namespace) -> int:
    from funprm.api.runs import check_dataset

    check = check_dataset(arguments.dataset, _overrides(arguments), progress=True)
    _print_counts(check, arguments.json)
    return check.exit_code


def _check_prompt(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import check_prompt

    asked = {name: getattr(arguments, name) for name in ("n", "split", "output")}
    settings = _settings(arguments, ("seed",))
    styles = arguments.style
    check = check_prompt(
        arguments.problems, styles=styles, **asked, settings=settings, progress=True
    )
    _print_counts(check, arguments.json)


def _validate(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import validate_problems

    _write(validate_problems(arguments.file))


def _doctor(arguments: argparse.Namespace) -> None:
    from funprm.executors.local.executor import doctor

    rows = doctor()
    if arguments.json:
        _print_json(rows)
        return
    for layer, on, why, cure in rows:
        _write(f"{'on ' if on else 'off'}  {layer:<12} {'; '.join(filter(None, (why, cure)))}")


def _print_counts(counts: "Judged | Check | PromptCheck | Grades", as_json: bool) -> None:
    if as_json:
        _print_json(counts.json())
    else:
        _write(counts.text())


def _print_json(value: object) -> None:
    import msgspec

    _write(msgspec.json.encode(value).decode())


def _launched() -> tuple[int, int]:
    """Number of this process, and of all, as a launcher of several processes says."""
    rank, size = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    return int(rank) if rank.isdecimal() else 0, int(size) if size.isdecimal() else 1


def _require_train(verb: str, size: int) -> None:
    """Refuses all other verbs to several processes."""
    if verb != "train":
        raise ConfigError(
            f"`funprm {verb}` in {size} processes (WORLD_SIZE): expected one; launch "
            "`funprm train` alone, after the stages before it"
        )


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Characters that a stream's encoding lacks, so that JSON stays JSON and programs programs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error("funprm.escape", _escape)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 2 wrong input or refused environment, 130 interrupted; 1 a check found
        faults, or programs were not judged; of `solve` also 1, 3.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="funprm.escape")
    arguments = build_parser().parse_args(argv)
    call: Callable[[argparse.Namespace], int | None] = arguments.call
    status: int | None = 0
    rank, size = _launched()
    try:
        if size > 1:
            _require_train(arguments.verb, size)
        status = call(arguments)
        sys.stdout.flush()
    except FunprmError as error:
        who = f"funprm (process {rank})" if rank else "funprm"
        sys.stderr.write(f"{who}: {' '.join(str(error).split())}\n")
        return 2
    except ModuleNotFoundError as error:
        sys.stderr.write(f"funprm: {missing_package('this', error)}\n")
        return 2
    except KeyboardInterrupt as interruption:
        hint = str(interruption) or "run the same command again to go on"
        sys.stderr.write(f"funprm: interrupted; {hint}\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status or 0


if __name__ == "__main__":
    sys.exit(main())
