"""Finished programs: cut, judged, graded, imported."""

import argparse
from pathlib import Path
from typing import Any

from funprm.cli.shared import add_set, overrides, print_counts, print_json, read_text, warn, write
from funprm.errors import InputError

_JUDGE_OPTIONS = ("workers", "compat", "python", "require_isolation")
"""Options of `judge` and `grade` that are settings of their executor."""


def add_verbs(verbs: Any) -> None:  # noqa: ANN401  (argparse keeps the type private)
    """`steps`, `judge`, `grade`, `quality` and `import`."""
    _add_steps(verbs)
    _add_judge(verbs)
    _add_grade(verbs)
    _add_quality(verbs)
    _add_import(verbs)


def _add_steps(verbs: Any) -> None:  # noqa: ANN401
    steps = verbs.add_parser("steps", help="show how a program is cut into function steps")
    steps.add_argument("file", help="a program; - reads standard input")
    steps.add_argument("--json", action="store_true", help="print ends and names as JSON")
    steps.set_defaults(call=_steps)


def _add_judge(verbs: Any) -> None:  # noqa: ANN401
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


def _add_grade(verbs: Any) -> None:  # noqa: ANN401
    grade = verbs.add_parser(
        "grade",
        help="judge finished outputs of other tools: pass@k, intervals, files side by side",
        epilog="Exit status: 0 all programs were judged; 1 some were not, or could not be read; "
        "2 none of a file was, or as usual.",
    )
    grade.add_argument(
        "files", type=Path, nargs="+", metavar="FILE",
        help="outputs of LiveCodeBench's runner or for its custom evaluator, of EvalPlus, "
        "BigCodeBench or lm-eval, or rows of programs; the form is recognised",
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


def _add_quality(verbs: Any) -> None:  # noqa: ANN401
    quality = verbs.add_parser(
        "quality",
        help="how readable programs are: functions, length, complexity, docstrings, dead code",
        description="Measures programs by their syntax trees and compares groups of them problem "
        "by problem; programs that fail are left out.",
    )
    quality.add_argument(
        "files", type=Path, nargs="+", metavar="FILE",
        help="rows with problem_id (or task_id, question_id), code and passed; several files are "
        "groups",
    )  # fmt: skip
    quality.add_argument("--by", default="", metavar="FIELD", help="groups, such as model")
    quality.add_argument(
        "--where", action="append", default=[], metavar="FIELD=VALUE",
        help="only programs whose field has this value; can be repeated",
    )  # fmt: skip
    quality.add_argument("--all", action="store_true", help="count programs that fail, too")
    quality.add_argument("--json", action="store_true", help="print everything as JSON")
    quality.set_defaults(call=_quality)


def _add_import(verbs: Any) -> None:  # noqa: ANN401
    imports = verbs.add_parser("import", help="programs of other tools as generations, to replay")
    imports.add_argument("file", type=Path, help="LiveCodeBench, BigCodeBench or EvalPlus outputs")
    imports.add_argument("--out", type=Path, required=True, help="generations as JSON lines")
    imports.add_argument("--verdicts", type=Path, help="also write the other tool's verdicts")
    imports.add_argument(
        "--problems", default="", help="for bare completions: a data set's name, or a problem file"
    )
    add_set(imports, "a setting of that data set, such as dataset.path=data; can be repeated")
    imports.add_argument("--json", action="store_true", help="print the counts as JSON")
    imports.set_defaults(call=_import)


def _add_judging(verb: argparse.ArgumentParser) -> None:
    add_set(verb, "a setting, such as dataset.path=data; can be repeated")
    verb.add_argument("--suite", choices=("hidden", "public"), default="hidden")
    verb.add_argument("--workers", type=int, default=0, help="default: one per core")
    verb.add_argument("--compat", action="store_true", help="the official rules where they differ")
    verb.add_argument("--python", default="", help="interpreter for the programs")
    verb.add_argument(
        "--require-isolation", nargs="*", default=[], metavar="LAYER", help="see `funprm doctor`"
    )
    verb.add_argument("--json", action="store_true", help="print the counts as JSON")


def _steps(arguments: argparse.Namespace) -> None:
    from funprm.steps import find_steps, step_texts

    code = read_text(arguments.file)
    if not code.strip():
        raise InputError(f"{arguments.file} is empty: expected a program")
    ends, names = find_steps(code)
    if arguments.json:
        print_json({"ends": ends, "names": names})
        return
    for number, (name, text) in enumerate(zip(names, step_texts(code, ends), strict=True), 1):
        write(f"# --- step {number}: {name or '(no function)'} ---\n{text.rstrip()}")


def _judge(arguments: argparse.Namespace) -> int:
    from funprm.api.runs import judge_file

    judged = judge_file(
        arguments.problems,
        arguments.programs,
        arguments.out,
        suite=arguments.suite,
        settings=_judge_settings(arguments),
        warn=warn,
        progress=True,
    )
    print_counts(judged, arguments.json)
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
        warn=warn,
        progress=True,
    )
    print_counts(grades, arguments.json)
    return grades.exit_code


def _quality(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import quality

    where = dict(condition.partition("=")[::2] for condition in arguments.where)
    table = quality(arguments.files, by=arguments.by, where=where, everything=arguments.all)
    print_counts(table, arguments.json)


def _judge_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    options = {name: getattr(arguments, name) for name in _JUDGE_OPTIONS}
    settings = {f"executor.{name}": value for name, value in options.items() if value}
    return {**settings, **overrides(arguments)}


def _import(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import import_programs

    counts = import_programs(
        arguments.file,
        arguments.out,
        verdicts=arguments.verdicts,
        problems=arguments.problems,
        settings=overrides(arguments),
    )
    if arguments.json:
        print_json(counts)
    else:
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        write(f"{sum(counts.values())} programs in {arguments.out}: {shown}")
