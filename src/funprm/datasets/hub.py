"""Data files from the Hugging Face hub, cached where its library keeps them."""

from pathlib import Path

from funprm.errors import InputError


def hub_file(repository: str, name: str) -> Path:
    """The local copy of a file of a data set, downloaded unless it is there.

    Args:
        repository: such as `livecodebench/code_generation_lite`.
        name: the file's path in it.

    Raises:
        InputError: the library or the connection is missing, or the file does not exist; the
            message says what to get and where to put it.
    """
    remedy = (
        f"download {name} from huggingface.co/datasets/{repository} and set `path` to the "
        "folder that holds it"
    )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ModuleNotFoundError as error:
        raise InputError(
            f"no `path` is set, and the package huggingface_hub is not installed: {remedy}"
        ) from error
    try:
        return Path(hf_hub_download(repository, name, repo_type="dataset"))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        message = f"no `path` is set, and the hub gave nothing ({reason}): {remedy}"
        raise InputError(message) from error
