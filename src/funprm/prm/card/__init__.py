"""The model card: `README.md` in a model's folder, for those who get nothing but the folder.

Saving writes it; what is known of the run (data, numbers, isolation) is put between two marks when
the run's report is written, and stays there when a model is merged.
"""

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template

from funprm import __version__
from funprm.disk import write_atomically
from funprm.prm.identity import resolve_base
from funprm.prm.reading import reading_of
from funprm.records import Json

CARD = "README.md"

_RUN = re.compile(r"(?<=<!-- run -->\n).*?(?=\n<!-- /run -->)", re.DOTALL)
_FRONT = re.compile(r"\A---\n(.*?)^---$", re.DOTALL | re.MULTILINE)
_LICENCE = re.compile(r"^license:\s*(\S+)", re.MULTILINE)
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def card_of(folder: Path, name: str, settings: Mapping[str, Json], marker_id: int) -> str:
    """A model's card; what it says of the run that trained it stays.

    Args:
        folder: where weights and settings lie already.
        name: the model's, which the card calls it and opens it by.
        settings: what the folder's `funprm.json` holds.
        marker_id: the token that ends a step.
    """
    base, reading = str(settings.get("base", "")), reading_of(settings, folder)
    licence, kind = _licence_of(base), _kind(folder, settings)
    values = {
        "name": name,
        "version": __version__,
        "base": base if on_hub(base) else Path(base).name or "a language model",
        "trained_on": settings.get("trained_on", "labelled programs"),
        "marker": settings["marker"],
        "marker_id": marker_id,
        "max_tokens": settings["max_tokens"],
        "aggregator": _AGGREGATORS.get(reading.aggregator, f"`{reading.aggregator}` of them"),
        "rule": reading.rule,
        "cap": f", into at most {reading.max_steps}" if reading.max_steps else "",
        "library": _LIBRARIES[kind],
        "facts": _facts(base, licence),
        "licence": _licence_text(licence),
    }
    use = _text(f"{kind}.md").safe_substitute(values).rstrip()
    card = _text("card.md").safe_substitute(values, use=use)
    known = about_run(folder)
    return _with_run(card, known) if known else card


def about_run(folder: Path) -> str:
    """What a model's card says of the run that trained it; empty without a card."""
    path = folder / CARD
    found = _RUN.search(path.read_text(encoding="utf-8")) if path.exists() else None
    return found[0] if found else ""


def describe_run(folder: Path, text: str) -> None:
    """Puts what is known of the run into a model's card; a folder without a card gets none."""
    path = folder / CARD
    if path.exists():
        card = _with_run(path.read_text(encoding="utf-8"), text)
        write_atomically(path, card.encode())


def _with_run(card: str, text: str) -> str:
    return _RUN.sub(lambda _: text.strip(), card)


def on_hub(base: str) -> bool:
    """Whether a base model has a name that others can open it by."""
    return bool(HUB_NAME.fullmatch(base)) and not Path(base).exists()


_LIBRARIES = {"whole": "transformers", "adapters": "peft", "frozen": "funprm"}
"""What opens a folder, by its kind."""
_AGGREGATORS = {
    "mean": "the mean of its functions' scores",
    "last": "that of its last function (an outcome model)",
}


def _text(name: str) -> Template:
    source = resources.files("funprm.prm.card").joinpath(name)
    return Template(source.read_text(encoding="utf-8"))


def _kind(folder: Path, settings: Mapping[str, Json]) -> str:
    if "features" in settings:
        return "frozen"
    return "adapters" if (folder / "adapter_config.json").exists() else "whole"


def _facts(base: str, licence: str) -> str:
    lines = {"license": licence, "base_model": base if on_hub(base) else ""}
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items() if value)


def _licence_of(base: str) -> str:
    """The licence that the base model's own card names; empty where it is not known here."""
    if base == "tiny":
        return "apache-2.0"
    card: Path | str | None = Path(resolve_base(base)).expanduser() / CARD
    if on_hub(base):
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(base, CARD)
        card = cached if isinstance(cached, str) else None
    if card is None or not Path(card).is_file():
        return ""
    front = _FRONT.match(Path(card).read_text(encoding="utf-8", errors="replace"))
    found = _LICENCE.search(front[1]) if front else None
    return found[1].strip("\"'") if found else ""


def _licence_text(licence: str) -> str:
    rest = "The licences of the problems and programs that it was trained on may add to it."
    if licence:
        return f"`{licence}`, that of the base model. {rest}"
    return f"That of the base model, which is not known here: see its own card. {rest}"
