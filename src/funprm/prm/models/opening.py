"""How reward models of all kinds are opened, saved, and merged."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import transformers

from funprm.config import TrainConfig
from funprm.errors import ModelError
from funprm.prm.card import CARD, about_run, card_of, describe_run
from funprm.prm.models.finetuned import ADAPTER, open_finetuned, open_saved_finetuned
from funprm.prm.models.frozen import open_frozen, open_saved_frozen
from funprm.prm.models.network import Opened, RewardModel, one_line_errors, quiet
from funprm.prm.reading import Reading, reading_of
from funprm.prm.rendering import RENDERING, Renderer
from funprm.records import Json

SETTINGS = "funprm.json"
"""File beside the weights that says how programs are rendered."""


def open_base(config: TrainConfig) -> Opened:
    """A fresh reward model on the trunk of `config.base`; its head is zero, so every p is 1/2.

    Raises:
        ModelError: there is no usable model of that name.
        ConfigError: the tokenizer has no marker.
    """
    return open_frozen(config) if config.tuning == "frozen" else open_finetuned(config)


def save(opened: Opened, folder: Path, extra: Mapping[str, Json] | None = None) -> None:
    """Writes weights (or adapters), tokenizer, rendering and card; replaces the folder at once.

    Args:
        opened: the model.
        folder: where to; an older one is replaced only when the new one is complete.
        extra: facts for people, stored beside the rendering.
    """
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    with quiet():
        opened.model.network.save_pretrained(fresh)
    opened.tokenizer.save_pretrained(fresh)
    settings = {**opened.renderer.settings(), "max_tokens": opened.max_tokens, **(extra or {})}
    (fresh / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    name = folder.parent.name if folder.name == "model" else folder.name
    card = card_of(fresh, name, settings, opened.renderer.marker_id)
    (fresh / CARD).write_text(card, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def open_saved(folder: Path | str, device: str = "auto", *, bf16: bool = False) -> Opened:
    """A reward model that `save` wrote, whole weights or adapters, ready to score.

    Raises:
        ModelError: the folder is missing, incomplete, or was not written by this package.
    """
    folder = Path(folder)
    settings = read_settings(folder)
    if "features" in settings:
        return open_saved_frozen(folder, settings, device)
    return open_saved_finetuned(folder, settings, device, bf16=bf16)


def open_renderer(folder: Path) -> tuple[Renderer, Reading, int]:
    """What a saved model reads, without its weights: renderer, reading, and most tokens.

    Raises:
        ModelError: the folder is missing or damaged.
    """
    settings = read_settings(folder)
    with one_line_errors(str(folder)):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        renderer = Renderer(tokenizer, settings["marker"])
    return renderer, reading_of(settings, folder), settings["max_tokens"]


def read_settings(folder: Path) -> dict[str, Json]:
    """How a saved model's input is rendered.

    Raises:
        ModelError: the folder holds no reward model of this package, or one that reads programs
            in another form.
    """
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        found = {**settings, "marker": settings["marker"], "max_tokens": settings["max_tokens"]}
    except OSError:
        raise ModelError(
            f"no reward model in {folder}: expected a folder with {SETTINGS}, as training writes"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ModelError(
            f"{path} is damaged: expected marker and max_tokens; train again"
        ) from None
    if found.get("rendering", RENDERING) != RENDERING:
        raise ModelError(
            f"{folder} reads programs in rendering {found['rendering']}, this version writes "
            f"{RENDERING}: train again, or use the version that trained it"
        )
    return found


def merge(folder: Path | str, target: Path | str) -> None:
    """Writes a model of adapters as one of whole weights, which every server opens.

    Raises:
        ModelError: `folder` holds no adapters of a reward model.
    """
    folder, target = Path(folder), Path(target)
    settings = read_settings(folder)
    if not (folder / ADAPTER).exists():
        raise ModelError(f"{folder} holds no adapters: its weights are whole already; use it as is")
    opened = open_saved(folder, "cpu")
    whole = RewardModel(opened.model.network.merge_and_unload())
    merged = Opened(whole, opened.tokenizer, opened.renderer, opened.max_tokens)
    extra = {k: v for k, v in settings.items() if k not in ("rendering", "marker", "max_tokens")}
    save(merged, target, extra)
    describe_run(target, about_run(folder))
