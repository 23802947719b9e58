"""Is it sound? Checks of data sets, problem files, prompts and this machine."""

import argparse
from typing import Any

from funprm.cli.shared import (
    add_run_arguments,
    add_set,
    overrides,
    print_counts,
    print_json,
    settings_of,
    write,
)


def add_verbs(verbs: Any) -> None:  # noqa: ANN401  (argparse keeps the type private)
    """`check-prompt`, `check-dataset`, `check-scorer`, `validate-problems` and `doctor`."""
    _add_check_prompt(verbs)
    _add_check_dataset(verbs)
    _add_check_scorer(verbs)
    _add_others(verbs)


def _add_check_dataset(verbs: Any) -> None:  # noqa: ANN401
    check = verbs.add_parser(
        "check-dataset",
        help="judge a data set's reference solutions, and stubs that must fail",
        epilog="Exit status: 0 all references pass and no stub; 1 not so, or the judge refused "
        "some; 2 no reference was judged, or as usual.",
    )
    check.add_argument(
        "dataset", help="a data set's name, a run's TOML file, or a file of problems"
    )
    add_set(check, "a setting, such as dataset.path=data; can be repeated")
    check.add_argument("--json", action="store_true", help="print all counts and ids as JSON")
    check.set_defaults(call=_check_dataset)


def _add_check_scorer(verbs: Any) -> None:  # noqa: ANN401
    check = verbs.add_parser(
        "check-scorer",
        help="how far scores move when programs are edited without changing what they do",
        description="Puts praise into comments and docstrings, removes docstrings, adds dead code, "
        "renames helpers and reorders functions of a run's candidates, and scores them again with "
        "its models and scorers.",
    )
    add_run_arguments(check)
    check.add_argument("-n", type=int, default=200, help="programs, about (default %(default)s)")
    check.add_argument(
        "--edit", action="append", default=[], metavar="NAME",
        help="only this edit, such as 'dead code'; can be repeated",
    )  # fmt: skip
    check.set_defaults(call=_check_scorer)


def _add_others(verbs: Any) -> None:  # noqa: ANN401
    validate = verbs.add_parser("validate-problems", help="check a file of one's own problems")
    validate.add_argument("file", help="JSON lines; the format is in docs/data.md")
    validate.set_defaults(call=_validate)
    doctor = verbs.add_parser("doctor", help="show which isolation this machine offers")
    doctor.add_argument("--json", action="store_true", help="print the probe as JSON")
    doctor.set_defaults(call=_doctor)


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
    add_set(check, "a setting, such as policy.model=NAME; can be repeated")
    check.add_argument(
        "--output", metavar="FOLDER", help="keep all answers; the same command goes on"
    )
    check.add_argument("--json", action="store_true", help="print everything as JSON")
    check.set_defaults(call=_check_prompt)


def _check_dataset(arguments: argparse.Namespace) -> int:
    from funprm.api.runs import check_dataset

    check = check_dataset(arguments.dataset, overrides(arguments), progress=True)
    print_counts(check, arguments.json)
    return check.exit_code


def _check_prompt(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import check_prompt

    asked = {name: getattr(arguments, name) for name in ("n", "split", "output")}
    settings = settings_of(arguments, ("seed",))
    styles = arguments.style
    check = check_prompt(
        arguments.problems, styles=styles, **asked, settings=settings, progress=True
    )
    print_counts(check, arguments.json)


def _check_scorer(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import check_scorer

    settings = settings_of(arguments)
    found = check_scorer(
        arguments.config, settings, n=arguments.n, edits=arguments.edit, progress=True
    )
    print_counts(found, arguments.json)


def _validate(arguments: argparse.Namespace) -> None:
    from funprm.api.runs import validate_problems

    write(validate_problems(arguments.file))


def _doctor(arguments: argparse.Namespace) -> None:
    from funprm.executors.local.executor import doctor

    rows = doctor()
    if arguments.json:
        print_json(rows)
        return
    for layer, on, why, cure in rows:
        write(f"{'on ' if on else 'off'}  {layer:<12} {'; '.join(filter(None, (why, cure)))}")
