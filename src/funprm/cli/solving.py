"""Programs for problems that have no answer yet: from the terminal, and over HTTP."""

import argparse
import sys
from pathlib import Path
from typing import Any

from funprm.cli.shared import add_set, overrides, read_text, settings_of, write
from funprm.errors import ConfigError


def add_verbs(verbs: Any) -> None:  # noqa: ANN401  (argparse keeps the type private)
    """`solve` and `serve`."""
    _add_solve(verbs)
    _add_serve(verbs)


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
    solve.add_argument(
        "--scorer", default="", metavar="NAME", help="in place of it, one of the file's [scorers]"
    )
    solve.add_argument(
        "--search", metavar="NAME", help="look for programs by step scores: beam, smc, "
        "early_stopping, repair, ... (docs/search.md); default: sample them",
    )  # fmt: skip
    solve.add_argument("--config", type=Path, help="a run's TOML file: policy, executor, seed, ...")
    solve.add_argument("--seed", type=int, help="in place of the file's")
    add_set(solve, "a setting, such as policy.model=NAME; can be repeated")
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
    add_set(serve, "a setting, such as serve.n=16 or policy.name=huggingface; can be repeated")
    serve.set_defaults(call=_serve)


def _solve(arguments: argparse.Namespace) -> int:
    from funprm.api.problems import solve

    try:
        solution = solve(
            _problem(arguments),
            prm=_scorer(arguments) or arguments.prm or None,
            n=arguments.n,
            search=arguments.search,
            config=arguments.config,
            settings=settings_of(arguments, ("seed",)),
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
        write(solution.json())
    elif solution.code:
        write(solution.code.rstrip("\n"))
    return {"passes": 0, "untested": 0, "fails": 1, "none": 3}[solution.found]


def _scorer(arguments: argparse.Namespace) -> Any:  # noqa: ANN401
    """The scorer that is named; None: none is."""
    from funprm.api.problems import load_scorer
    from funprm.commands.solve import scorer_named

    if not arguments.scorer:
        return None
    if arguments.prm:
        raise ConfigError("--prm and --scorer: give one of them")
    part = scorer_named(arguments.scorer, arguments.config, overrides(arguments))
    return load_scorer(part.name, **part.options)


def _problem(arguments: argparse.Namespace) -> Any:  # noqa: ANN401
    from funprm.datasets.single import example, problem_of, read_tests

    where = arguments.tests or "--example"
    fields: dict[str, Any] = {}
    if arguments.tests:
        fields = read_tests(read_text(arguments.tests).encode(), where)
    if arguments.entry_point:
        fields["entry_point"] = arguments.entry_point
    if arguments.starter:
        fields["starter_code"] = read_text(arguments.starter)
    values = bool(fields.get("entry_point"))
    typed = [example(texts, values=values) for texts in arguments.example]
    if typed:
        fields["tests"] = [*fields.get("tests", []), *typed]
    return problem_of(read_text(arguments.statement), fields, where)


def _serve(arguments: argparse.Namespace) -> None:
    from funprm.serve.run import Serving, serve

    names = ("host", "port", "upstream", "upstream_key_env", "prm", "key_env", "config")
    asked = {name: getattr(arguments, name) for name in names}
    serve(Serving(**asked, settings=overrides(arguments)))
