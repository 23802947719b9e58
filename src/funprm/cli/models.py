"""Trained models in the hands of others: render their input, merge adapters, publish."""

import argparse
import sys
from typing import Any

from funprm.cli.shared import print_counts, print_json, write

_MODEL = "a folder as training writes it (runs/demo/prm/funprm/model)"


def add_verbs(verbs: Any) -> None:  # noqa: ANN401  (argparse keeps the type private)
    """`render`, `merge-adapters` and `push`."""
    render = verbs.add_parser(
        "render",
        help="a reward model's input for clients of other servers: JSON in, text and tokens out",
        description='Reads lines {"statement": ..., "program": ...} from standard input, and '
        "answers each with a line: text, tokens, markers (where scores are read), functions, "
        "shortened.",
    )
    render.add_argument("model", help=f"{_MODEL}, or a hub name")
    render.set_defaults(call=_render)
    merge = verbs.add_parser(
        "merge-adapters", help="write a model of adapters as one of whole weights"
    )
    merge.add_argument("model", help=_MODEL)
    merge.add_argument("out", help="the new folder")
    merge.set_defaults(call=_merge_adapters)
    push = verbs.add_parser("push", help="publish a trained model on the hub, with its card")
    push.add_argument("model", help=_MODEL)
    push.add_argument("name", help="owner/name on the hub")
    push.add_argument("--private", action="store_true", help="make it private")
    push.add_argument("--dry-run", action="store_true", help="check and list; send nothing")
    push.add_argument("--json", action="store_true", help="print the files as JSON")
    push.set_defaults(call=_push)


def _render(arguments: argparse.Namespace) -> None:
    from funprm.commands.render import InputRenderer

    for rendered in InputRenderer(arguments.model).render_lines(sys.stdin.buffer):
        print_json(rendered)
        sys.stdout.flush()  # a client may wait for its answer before it asks again


def _merge_adapters(arguments: argparse.Namespace) -> None:
    from funprm.api.models import merge_adapters

    merge_adapters(arguments.model, arguments.out)
    write(f"whole weights in {arguments.out}")


def _push(arguments: argparse.Namespace) -> None:
    from funprm.api.models import push

    pushed = push(
        arguments.model, arguments.name, private=arguments.private, dry_run=arguments.dry_run
    )
    print_counts(pushed, arguments.json)
