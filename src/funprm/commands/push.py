"""A trained model on the hub: what `funprm push` does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from funprm.errors import InputError, ModelError, missing_package
from funprm.prm.card import CARD, HUB_NAME, card_of, on_hub
from funprm.records import Json


@dataclass(frozen=True, kw_only=True, repr=False)
class Pushed:
    """What was sent to the hub, or would be."""

    name: str
    files: Mapping[str, int]
    """Sizes in bytes by name."""
    url: str
    """Empty: nothing was sent."""

    def json(self) -> Json:
        """For machines."""
        return {"name": self.name, "url": self.url, "files": dict(self.files)}

    def text(self) -> str:
        """For people."""
        size = sum(self.files.values())
        done = f"sent to {self.url}" if self.url else f"to be sent to {self.name} (dry run)"
        lines = [f"{bytes_:>14,}  {name}" for name, bytes_ in self.files.items()]
        return "\n".join([*lines, f"{len(self.files)} files, {size:,} bytes {done}"])

    def __repr__(self) -> str:
        return self.text()


def push(folder: Path, name: str, *, private: bool = False, dry_run: bool = False) -> Pushed:
    """Sends a model's folder to the hub, with a card that calls it by its name there.

    Paths of this machine are not sent. Nothing is sent before all of it was checked.

    Args:
        folder: as training or `merge` writes it.
        name: `owner/name` on the hub; made where it does not exist.
        private: make it private.
        dry_run: send nothing; no connection is made.

    Raises:
        InputError: the name is none of the hub.
        ModelError: the folder holds no model that others could open, or the hub refused it.
    """
    if not HUB_NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of the hub: expected owner/name")
    contents = _contents(folder, name)
    sizes = {path: _size(content) for path, content in contents.items()}
    url = "" if dry_run else _send(name, contents, private)
    return Pushed(name=name, files=sizes, url=url)


def _contents(folder: Path, name: str) -> dict[str, bytes | Path]:
    """What is sent, by name: files, and in place of some what may be published of them."""
    try:
        from funprm.prm.models.opening import SETTINGS, open_renderer, read_settings
    except ModuleNotFoundError as error:
        raise missing_package("a reward model", error) from error
    settings = read_settings(folder)
    base = str(settings.get("base", ""))
    files: dict[str, bytes | Path] = {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    }
    if not any(file.endswith(".safetensors") for file in files):
        raise ModelError(f"{folder} holds no weights (*.safetensors): train or copy it again")
    frozen, adapters = "features" in settings, "adapter_config.json" in files
    if (frozen or adapters) and not on_hub(base) and not (frozen and base == "tiny"):
        raise ModelError(
            f"{folder} is nothing without {base}, which others cannot open: run "
            "`funprm merge-adapters` first (adapters), or train on a model of the hub"
        )
    renderer = open_renderer(folder)[0]
    published = {**settings, "base": base if on_hub(base) else Path(base).name}
    files[SETTINGS] = (json.dumps(published, indent=2) + "\n").encode()
    files[CARD] = card_of(folder, name, settings, renderer.marker_id).encode()
    return files


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _send(name: str, contents: Mapping[str, bytes | Path], private: bool) -> str:
    """Makes the repository and one commit; its address."""
    try:
        import huggingface_hub as hub
    except ModuleNotFoundError as error:
        raise missing_package("push", error) from error
    api = hub.HfApi()
    operations = [
        hub.CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)
        for path, content in contents.items()
    ]
    try:
        url = api.create_repo(name, private=private, exist_ok=True)
        api.create_commit(name, operations, commit_message="FunPRM reward model")
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"the hub did not take {name} ({reason}): expected a reachable hub and a token that "
            "may write there (`hf auth login`)"
        ) from error
    return str(url)
