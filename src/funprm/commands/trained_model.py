"""A trained model by its name: its folder, and how it cuts programs. No weights are opened."""

from pathlib import Path

from funprm.config import RolloutConfig
from funprm.errors import ModelError
from funprm.prm.card import HUB_NAME
from funprm.prm.reading import Reading
from funprm.steps import find_steps


def model_folder(name: str) -> Path:
    """The folder of a model; one of the hub is downloaded first, or taken from its cache.

    Raises:
        ModelError: the hub did not give it.
    """
    folder = Path(name).expanduser()
    if folder.exists() or not HUB_NAME.fullmatch(name):
        return folder
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name))
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ModelError(
            f"no reward model {name!r}: it is no folder here, and the hub did not give it "
            f"({reason}); expected a folder that training wrote, or a reachable hub name"
        ) from error


def cut_for(reading: Reading, code: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Ends and names of a program's steps, as a model's training cut programs."""
    known = reading.max_steps
    return find_steps(code, max_steps=RolloutConfig().max_steps if known is None else known)
