"""Finding and loading causal language models: the shipped one, local folders, hub names."""

import contextlib
import hashlib
import importlib.resources
import json
import logging
import platform
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from funprm.errors import ConfigError, ModelError

TINY = "tiny"
"""The name of the model that is shipped with the package."""

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")
_library: Any = transformers_logging  # untyped
_products: Any = torch.backends.mkldnn  # untyped
_SMALL = 20_000_000
"""Parameters below which a model is small (see `fitting_threads`)."""
_GENERAL_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def find_folder(model: str, revision: str = "") -> Path:
    """The local folder of a model; a hub model is downloaded first, or taken from its cache.

    Args:
        model: `tiny` (the shipped model), a folder, or a hub name such as `Qwen/Qwen2.5-Coder-3B`.
        revision: branch, tag or commit of a hub model; empty: its main branch.

    Raises:
        ModelError: there is no such model, or it lacks configuration, safetensors or tokenizer.
    """
    if model == TINY:
        folder = Path(str(importlib.resources.files("funprm") / "policies" / "tiny"))
    else:
        folder = Path(model).expanduser()
    if model != TINY and not folder.exists() and _HUB_NAME.fullmatch(model):
        folder = _download(model, revision)
    _check(folder)
    return folder


def find_tokenizer(model: str) -> Path:
    """The local folder of a model's tokenizer; of a hub model no weights are downloaded.

    Raises:
        ModelError: there is no such folder or hub model.
    """
    folder = Path(model).expanduser()
    if not folder.exists() and _HUB_NAME.fullmatch(model):
        return _download(model, "", [name for name in _HUB_FILES if name != "*.safetensors"])
    if not folder.is_dir():
        raise ModelError(f"no model folder {str(folder)!r}: expected a folder or a hub name")
    return folder


def _download(name: str, revision: str, files: Sequence[str] = _HUB_FILES) -> Path:
    import huggingface_hub

    try:
        with quiet():
            path = huggingface_hub.snapshot_download(
                name, revision=revision or None, allow_patterns=list(files)
            )
    except (OSError, ValueError, RuntimeError) as error:
        wanted = f"{name!r} (revision {revision!r})" if revision else repr(name)
        raise ModelError(
            f"no model {wanted}: it is no folder here, and the hub did not give it "
            f"({_first_line(error)}); expected a model folder or a reachable hub name"
        ) from error
    return Path(path)


def _check(folder: Path) -> None:
    """One line for what a model folder lacks."""
    if not folder.is_dir():
        raise ModelError(f"no model folder {str(folder)!r}: expected a folder or a hub name")
    advice = "save model and tokenizer there with save_pretrained"
    if not (folder / "config.json").is_file():
        raise ModelError(f"model folder {str(folder)!r} has no config.json; {advice}")
    read_json(folder / "config.json")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"model folder {str(folder)!r} has no weights (*.safetensors); {advice}")
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(f"model folder {str(folder)!r} has no tokenizer; {advice}")


def fingerprint(folder: Path) -> str:
    """A hash of what determines a model's answers: weights, configuration, tokenizer, template."""
    names = ("config.json", "generation_config.json", "chat_template.jinja", *_TOKENIZER_FILES)
    files = [*folder.glob("*.safetensors"), *(folder / name for name in names)]
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(path for path in files if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").hexdigest()
        total.update(f"{path.name} {digest}\n".encode())
    return total.hexdigest()


def label(model: str, folder: Path) -> str:
    """A model's name for people: its own where it has one, else its architecture's."""
    if model == TINY or not Path(model).expanduser().is_dir():
        return model
    names = read_json(folder / "config.json").get("architectures")
    return str(names[0]) if names else folder.name


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library's tokenizers are untyped
    """The tokenizer of a model folder.

    Raises:
        ModelError: it cannot be read.
    """
    opener = _tokenizer_class(folder)
    try:
        with quiet():
            return opener.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        raise ModelError(
            f"the tokenizer in {str(folder)!r} cannot be read: {_first_line(error)}; "
            "save it again with save_pretrained"
        ) from error


def _tokenizer_class(folder: Path) -> Any:  # noqa: ANN401 - as above
    """The class to open a tokenizer with.

    For some architectures (Qwen2 among them) `AutoTokenizer` overrules what a folder declares by
    the architecture's usual class, whose splitting rules differ. A folder that declares the
    general class gets it: it follows tokenizer.json to the letter.
    """
    declared = read_json(folder / "tokenizer_config.json").get("tokenizer_class")
    general = declared in _GENERAL_TOKENIZERS and (folder / "tokenizer.json").is_file()
    return PreTrainedTokenizerFast if general else AutoTokenizer


def load_model(folder: Path, device: str = "auto", dtype: str = "auto") -> PreTrainedModel:
    """A causal language model in evaluation mode on its device.

    Args:
        folder: where it was saved.
        device: `auto` (a GPU if there is one), or a name that torch knows.
        dtype: see `dtype_name`.

    Raises:
        ConfigError: device or dtype is unknown, or the device is absent.
        ModelError: the weights cannot be read.
    """
    return _load(AutoModelForCausalLM, "a causal language model", folder, device, dtype)[0]


def load_classifier(
    folder: Path, device: str = "auto", dtype: str = "auto", *, per_token: bool = False
) -> PreTrainedModel:
    """A classifier of texts, or of their tokens, in evaluation mode on its device.

    A causal language model with TRL's value head (`v_head.summary`) is opened as a classifier of
    tokens with one label: it is the same computation.

    Args:
        folder: where it was saved.
        device: as for `load_model`.
        dtype: as for `load_model`.
        per_token: a classifier of tokens.

    Raises:
        ConfigError: device or dtype is unknown, or the device is absent.
        ModelError: the weights cannot be read, or there are none for the head.
    """
    value_head, more = has_value_head(folder), {}
    tokenwise = per_token or value_head
    kind = AutoModelForTokenClassification if tokenwise else AutoModelForSequenceClassification
    what = "a token classifier" if per_token else "a sequence classifier"
    if value_head:
        more = {"num_labels": 1, "key_mapping": {rf"^{VALUE_HEAD}\.": "score."}}
    model, absent = _load(kind, what, folder, device, dtype, **more)
    if absent:
        raise ModelError(
            f"the model in {str(folder)!r} has no weights for {', '.join(sorted(absent)[:3])}, so "
            f"that its scores would be random: expected {what} with a trained head"
        )
    return model


VALUE_HEAD = "v_head.summary"
"""Prefix of the weights of TRL's value head."""


def has_value_head(folder: Path) -> bool:
    """Whether the weights in a folder have TRL's value head."""
    names: set[str] = set()
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, "pt") as file:
                names.update(file.keys())
        except Exception as error:  # its own class is private
            raise ModelError(f"{str(path)!r} cannot be read: {_first_line(error)}") from error
    return f"{VALUE_HEAD}.weight" in names


def _load(
    kind: Any,  # noqa: ANN401  (the library's automatic classes have no common type)
    what: str,
    folder: Path,
    device: str,
    dtype: str,
    **more: Any,  # noqa: ANN401
) -> tuple[PreTrainedModel, set[str]]:
    """A model, and the names of weights that the folder lacks."""
    place = _device(device)
    number = _DTYPES[dtype_name(folder, device, dtype)]
    options = {"dtype": number, "local_files_only": True, "use_safetensors": True, **more}
    try:
        with quiet():
            model, found = kind.from_pretrained(str(folder), output_loading_info=True, **options)
    except Exception as error:
        raise ModelError(
            f"the model in {str(folder)!r} cannot be read: {_first_line(error)}; "
            f"expected {what} saved with save_pretrained"
        ) from error
    module: torch.nn.Module = model  # the library's own `eval` and `to` are not typed
    module.eval().to(place)
    return model, set(found["missing_keys"])


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used ({_first_line(error)}); expected auto, cpu, cuda, ..."
        ) from error
    return torch.device(name)


def dtype_name(folder: Path, device: str, dtype: str) -> str:
    """The type of a model's numbers.

    Args:
        folder: where it was saved.
        device: as for `load_model`.
        dtype: `fp32`, `bf16`, `fp16`, or `auto`: bf16 for a model that was saved in 16 bits, where
            the device multiplies such numbers itself; else fp32.

    Raises:
        ConfigError: device or dtype is unknown, or the device is absent.
    """
    if dtype == "auto":
        settings = read_json(folder / "config.json")
        settings = settings.get("text_config") or settings
        saved = settings.get("dtype") or settings.get("torch_dtype")
        half = saved in ("bfloat16", "float16")
        return "bf16" if half and _multiplies_bf16(_device(device)) else "fp32"
    if dtype not in _DTYPES:
        raise ConfigError(f"dtype {dtype!r} is unknown; expected auto, {', '.join(_DTYPES)}")
    return dtype


def _multiplies_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for products of bf16 numbers, and PyTorch uses them."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not _products.is_available():
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        cpu: Any = torch.cpu
        return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())
    kernels: Any = torch.ops.mkldnn
    return bool(kernels._is_mkldnn_bf16_supported())


def is_small(model: torch.nn.Module) -> bool:
    """Whether matrix products are too short to be shared, or arranged for."""
    return sum(parameter.numel() for parameter in model.parameters()) < _SMALL


@contextlib.contextmanager
def fitting_threads(model: torch.nn.Module) -> Iterator[None]:
    """One thread for a small model on a CPU, as many as before for all others.

    Its operations are too short to share: two threads gain a quarter at best, and wait for each
    other on a busy machine (27 times slower, measured). Results do not depend on cores either.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    before = torch.get_num_threads()
    if on_cpu and is_small(model):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def read_json(path: Path) -> dict[str, Any]:
    """A settings file of a model folder; empty where it is absent."""
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{str(path)!r} cannot be read ({_first_line(error)}); save the model again with "
            "save_pretrained"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences the libraries' warnings and progress bars while they load."""
    verbosity, bars = _library.get_verbosity(), _library.is_progress_bar_enabled()
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    _library.set_verbosity_error()
    _library.disable_progress_bar()  # the hub's, too
    hub.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        hub.setLevel(level)
        _library.set_verbosity(verbosity)
        if bars:
            _library.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
