"""What makes two language models, and two reward models, the same; no weights are loaded for it."""

import json
from importlib import resources
from pathlib import Path

from funprm.disk import digest_of
from funprm.prm.rendering import RENDERING
from funprm.records import Json, key_of

_OF_A_MODEL = ("*.safetensors", "*.bin", "*.json", "*.model", "*.txt", "*.jinja")


def resolve_base(base: str) -> str:
    """The folder or hub name of a base model; `tiny` is the one shipped in this package."""
    if base != "tiny":
        return base
    return str(resources.files("funprm").joinpath("policies", "tiny"))


def base_identity(base: str) -> Json:
    """What determines a base model: its files, or the commit of a hub model in the cache."""
    folder = Path(resolve_base(base)).expanduser()
    if folder.is_dir():
        return fingerprint(folder)
    return [base, _commit(base)]


def _commit(name: str) -> str:
    """The commit of a hub model that will be opened; empty where it cannot be had."""
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(name, "config.json")
        if isinstance(cached, str):
            return Path(cached).parent.name
        return Path(snapshot_download(name, allow_patterns=["config.json"])).name
    except (OSError, ValueError, RuntimeError):  # opening it will say why
        return ""


def fingerprint(folder: Path) -> str:
    """A hash of what determines a model's scores: weights, tokenizer, settings.

    Adapters are nothing without the weights that they adapt, which are elsewhere: they count, too.
    """
    files = sorted({path for kind in _OF_A_MODEL for path in folder.glob(kind)})
    found = [[path.name, digest_of(path)] for path in files]
    adapter = folder / "adapter_config.json"
    if adapter.exists():
        base = json.loads(adapter.read_text(encoding="utf-8")).get("base_model_name_or_path")
        found.append(["base", base_identity(str(base))])
    return key_of(*found)


def scorer_identity(folder: Path, precision: str = "fp32") -> dict[str, Json]:
    """What determines the scores of a saved reward model: its files, precision, rendering."""
    return {"model": fingerprint(folder), "precision": precision, "rendering": RENDERING}
