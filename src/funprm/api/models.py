"""Verbs on trained models: render their input, merge adapters, publish."""

from pathlib import Path
from typing import TYPE_CHECKING

from funprm.errors import missing_package

if TYPE_CHECKING:
    from funprm.commands.push import Pushed
    from funprm.commands.render import Rendered


def render(model: str | Path, statement: str, program: str) -> "Rendered":
    """A statement and a program as a reward model reads them: text, tokens, places of scores.

    Args:
        model: a folder as training writes it, or a hub name.
        statement: as `render_statement` writes it.
        program: its functions are found here.

    Raises:
        ModelError: there is no such model.
    """
    from funprm.commands.render import InputRenderer

    return InputRenderer(str(model)).render(statement, program)


def merge_adapters(model: str | Path, out: str | Path) -> None:
    """Write a model of adapters as one of whole weights, which every server opens.

    Args:
        model: a folder as training with `tuning = "lora"` writes it.
        out: the new folder; an older one there is replaced.

    Raises:
        ModelError: the folder holds no adapters of a reward model.
    """
    try:
        from funprm.prm.models import opening
    except ModuleNotFoundError as error:
        raise missing_package("a reward model", error) from error
    opening.merge(model, out)


def push(model: str | Path, name: str, *, private: bool = False, dry_run: bool = False) -> "Pushed":
    """Publish a model on the hub with its card; the result lists the files.

    Args:
        model: a folder as training or `merge` writes it.
        name: `owner/name` on the hub.
        private: make it private.
        dry_run: check everything and send nothing.

    Raises:
        InputError: the name is none of the hub.
        ModelError: the folder holds no model that others could open, or the hub refused it.
    """
    from funprm.commands import push as work

    return work.push(Path(model), name, private=private, dry_run=dry_run)
