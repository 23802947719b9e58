"""The reward model: a causal language model's trunk and one linear output.

The network is the library's own sequence classifier with one label and a bias-free head named
`score`, so a saved folder opens with `AutoModelForSequenceClassification` (the logit at the last
marker: the whole program) and `AutoModelForTokenClassification` (all positions, all steps).
"""

import contextlib
import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from funprm.config import TrainConfig
from funprm.errors import ConfigError, ModelError
from funprm.prm.data import RENDERING, Renderer, Tokenizer
from funprm.prm.identity import resolve_base
from funprm.prm.sharing import Statement, other_layers
from funprm.records import Json

Network = Any
"""A sequence classifier of the transformers library, or a peft model of one (no static types)."""

SETTINGS = "funprm.json"
"""File beside the weights that says how programs are rendered."""

ADAPTER = "adapter_config.json"
SMALL = 20_000_000
"""Parameters below which a model is small (see `fitting_threads`)."""

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


class RewardModel(nn.Module):
    """Scores steps: one forward pass over a batch of programs gives the logits of all markers.

    Args:
        network: a sequence classifier of the transformers library, or a peft model of one.
        bf16: run the trunk under bfloat16 autocast; parameters and head stay float32.
    """

    def __init__(self, network: Network, *, bf16: bool = False) -> None:
        super().__init__()
        self.network = network
        self._bf16 = bf16

    def forward(self, tokens: Tensor, program: Tensor, position: Tensor) -> Tensor:
        """Logits z, float32 [R]; the step score is sigmoid(z).

        Args:
            tokens: right-padded token ids, int64 [programs, longest].
            program: the program of each wanted marker, int64 [R].
            position: its position, int64 [R].
        """
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=self._bf16):
            hidden = self._trunk(input_ids=tokens, use_cache=False).last_hidden_state
        return self._score(hidden[program, position])

    def encode(self, statement: tuple[int, ...], device: torch.device) -> Statement:
        """A statement for `follow`; only of a model whose `unshared` is empty."""
        with torch.autocast(device.type, torch.bfloat16, enabled=self._bf16):
            return Statement(self._trunk, statement, device)

    def follow(
        self, statement: Statement, tokens: Tensor, program: Tensor, position: Tensor
    ) -> Tensor:
        """As `forward`, for programs that all answer one statement; positions count after it."""
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=self._bf16):
            hidden = statement.follow(tokens).last_hidden_state
        return self._score(hidden[program, position])

    @property
    def unshared(self) -> str:
        """Why programs cannot share one encoding of their statement; empty where they can."""
        trunk = self._trunk
        if trunk.training and getattr(trunk, "is_gradient_checkpointing", False):
            return "checkpointing keeps no keys and values"
        kinds = other_layers(trunk.config)
        return f"its layers are of type {', '.join(sorted(kinds))}" if kinds else ""

    @property
    def _trunk(self) -> Network:
        classifier = _classifier(self.network)
        return getattr(classifier, classifier.base_model_prefix)

    def _score(self, picked: Tensor) -> Tensor:
        classifier = _classifier(self.network)
        with torch.autocast(picked.device.type, enabled=False):
            logits: Tensor = classifier.score(picked.to(_head_dtype(classifier))).squeeze(-1)
        return logits

    @contextlib.contextmanager
    def single_precision(self) -> Iterator[None]:
        """Without bfloat16, as the finite step of a difference needs it."""
        before, self._bf16 = self._bf16, False
        try:
            yield
        finally:
            self._bf16 = before

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes, by name."""
        return {n: p for n, p in self.named_parameters() if p.requires_grad}


def _classifier(network: Network) -> Network:
    return network.get_base_model() if hasattr(network, "get_base_model") else network


def _head_dtype(classifier: Network) -> torch.dtype:
    dtype: torch.dtype = next(classifier.score.parameters()).dtype
    return dtype


@contextlib.contextmanager
def fitting_threads(model: nn.Module) -> Iterator[None]:
    """One thread for a small model on a CPU, as many as before for all others.

    Its operations are too short to share: two threads gain little on an idle machine and wait for
    each other, spinning, on a busy one (up to 27 times slower, measured). One thread also
    makes results independent of the number of cores.
    """
    first = next(model.parameters())
    small = sum(p.numel() for p in model.parameters()) < SMALL
    if first.device.type != "cpu" or not small:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def differentiable_attention() -> Iterator[None]:
    """Attention by plain matrix products, which forward mode and double backward can follow."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


@contextlib.contextmanager
def differentiable_experts(model: RewardModel) -> Iterator[None]:
    """Experts one after the other, which forward mode and double backward can follow.

    The library's grouped matrix products have no such rules. Trunks without experts stay as they
    are.
    """
    classifier = _classifier(model.network)
    before = getattr(getattr(classifier, "config", None), "_experts_implementation", None)
    if before in (None, "eager"):
        yield
        return
    classifier.set_experts_implementation("eager")
    try:
        yield
    finally:
        classifier.set_experts_implementation(before)


@dataclass(frozen=True, slots=True)
class Opened:
    """A model with what is needed to feed it."""

    model: RewardModel
    tokenizer: Tokenizer
    renderer: Renderer
    max_tokens: int


def device_of(name: str) -> torch.device:
    """The device of a setting; `auto` is a GPU if there is one.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device {name!r} is unknown: use auto, cpu, cuda or cuda:0") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r} is not available here: use auto or cpu")
    return device


def open_base(config: TrainConfig) -> Opened:
    """A fresh reward model on the trunk of `config.base`; its head is zero, so every p is 1/2.

    Raises:
        ModelError: there is no usable model of that name.
        ConfigError: the tokenizer has no marker.
    """
    if config.tuning == "frozen":
        from funprm.prm.frozen import open_frozen

        return open_frozen(config)
    base = resolve_base(config.base)
    with _one_line_errors(base):
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        renderer = _renderer(tokenizer, config.marker)
        network = _load_network(base, renderer.pad_id, _frozen_dtype(config))
    nn.init.zeros_(network.score.weight)
    if config.tuning == "lora":
        network = _with_adapters(network, config)
    _classifier(network).score.float()
    model = RewardModel(network, bf16=config.precision == "bf16")
    for parameter in model.trainable().values():
        parameter.data = parameter.data.float()
    if config.checkpointing:
        with _quiet():
            network.gradient_checkpointing_enable({"use_reentrant": False})
        # A hook for the reentrant kind, which forward-mode differentiation cannot pass.
        _classifier(network).disable_input_require_grads()
    return Opened(model.to(device_of(config.device)), tokenizer, renderer, config.max_tokens)


def _renderer(tokenizer: Tokenizer, marker: str) -> Renderer:
    """The tokenizer's renderer; a tokenizer without padding gets the token that the model skips.

    The standard classes pad a batch by the tokenizer, and find its programs' ends by the model's
    `pad_token_id`: both must be the same.
    """
    renderer = Renderer(tokenizer, marker)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(renderer.pad_id)
    return renderer


def open_language_model(base: str) -> tuple[Network, Tokenizer]:
    """A causal language model with its head and its tokenizer, in float32.

    Raises:
        ModelError: there is no usable model of that name.
    """
    with _one_line_errors(base):
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        network = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return network, tokenizer


def _frozen_dtype(config: TrainConfig) -> torch.dtype:
    """bfloat16 for a trunk that is only read in bfloat16; what is trained is float32."""
    half = config.tuning == "lora" and config.precision == "bf16"
    return torch.bfloat16 if half else torch.float32


def _load_network(base: str, pad: int, dtype: torch.dtype = torch.float32) -> Network:
    """The classifier on a base model's trunk: one label, no bias, no dropout anywhere."""
    settings = transformers.AutoConfig.from_pretrained(base)
    for name in vars(settings):
        if "dropout" in name or name.endswith("pdrop"):
            setattr(settings, name, 0.0)
    settings.num_labels = 1
    settings.pad_token_id = pad
    settings.token_classification_bias = False
    settings.classifier_dropout = 0.0
    network = transformers.AutoModelForSequenceClassification.from_pretrained(
        base, config=settings, dtype=dtype
    )
    if not hasattr(network, "score"):
        raise ModelError(f"{base} is a {type(network).__name__}: expected a causal language model")
    return network


def _with_adapters(network: Network, config: TrainConfig) -> Network:
    import peft

    known = {name.rpartition(".")[2] for name, _ in network.named_modules()}
    if missing := [name for name in PROJECTIONS if name not in known]:
        raise ModelError(
            f"{config.base} has no {', '.join(missing)}, which LoRA adapts: set tuning = 'full'"
        )
    settings = peft.LoraConfig(
        task_type=peft.TaskType.SEQ_CLS,
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
        target_modules=list(PROJECTIONS),
    )
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(config.seed)
        adapted = peft.get_peft_model(network, settings)
    # The library adds every name a head may have; servers want the one it has.
    settings.modules_to_save = ["score"]
    return adapted


def save(opened: Opened, folder: Path, extra: Mapping[str, Json] | None = None) -> None:
    """Writes weights (or adapters), tokenizer and rendering; replaces the folder at once.

    Args:
        opened: the model.
        folder: where to; an older one is replaced only when the new one is complete.
        extra: facts for people, stored beside the rendering.
    """
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    with _quiet():
        opened.model.network.save_pretrained(fresh)
    opened.tokenizer.save_pretrained(fresh)
    settings = {**opened.renderer.settings(), "max_tokens": opened.max_tokens, **(extra or {})}
    (fresh / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
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
        from funprm.prm.frozen import open_saved_frozen

        return open_saved_frozen(folder, settings, device)
    with _one_line_errors(str(folder)):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        renderer = _renderer(tokenizer, settings["marker"])
        network = _open_network(folder, renderer.pad_id)
    model = RewardModel(network, bf16=bf16).to(device_of(device)).eval()
    return Opened(model, tokenizer, renderer, settings["max_tokens"])


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


def _open_network(folder: Path, pad: int) -> Network:
    if not (folder / ADAPTER).exists():
        _require_weights(folder)
        return transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32
        )
    import peft

    base = peft.PeftConfig.from_pretrained(str(folder)).base_model_name_or_path
    return peft.PeftModel.from_pretrained(_load_network(str(base), pad), str(folder))


def _require_weights(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} holds no weights (*.safetensors): train or copy it again")


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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the libraries' progress bars, notes on fresh heads and mutual deprecations."""
    log: Any = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


@contextlib.contextmanager
def _one_line_errors(source: str) -> Iterator[None]:
    """Turns what loading raises into one line; the library has no common class for it."""
    try:
        with _quiet():
            yield
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"cannot open model {source}: {reason}") from error
