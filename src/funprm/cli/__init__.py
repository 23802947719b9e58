"""The command line: parse, call, print. One verb per stage, and tools that stand alone."""

import argparse
import codecs
import io
import json
import os
import sys
from collections.abc import Callable, Sequence

from funprm import __version__
from funprm.cli import checks, models, programs, runs, solving
from funprm.cli.shared import launched, require_train
from funprm.errors import FunprmError, missing_package


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
    for part in (runs, solving, programs, models, checks):
        part.add_verbs(verbs)
    return parser


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
    rank, size = launched()
    try:
        if size > 1:
            require_train(arguments.verb, size)
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
