"""The reward model: a causal language model's trunk and one linear output.

The network is the library's own sequence classifier with one label and a bias-free head named
`score`, so a saved folder opens with `AutoModelForSequenceClassification` (the logit at the last
marker: the whole program) and `AutoModelForTokenClassification` (all positions, all steps).
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from funprm.errors import ConfigError, ModelError
from funprm.prm.rendering import Encoded, Renderer, Tokenizer
from funprm.prm.sharing import Statement, other_layers

Network = Any
"""A sequence classifier of the transformers library, or a peft model of one (no static types)."""


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

    def fit_inputs(self, programs: Sequence[Encoded]) -> None:
        """Take scales of inputs from the first programs of a training; most models need none."""

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
        classifier = classifier_of(self.network)
        return getattr(classifier, classifier.base_model_prefix)

    def _score(self, picked: Tensor) -> Tensor:
        classifier = classifier_of(self.network)
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


def classifier_of(network: Network) -> Network:
    """The sequence classifier itself, of which a peft model is a wrapper."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network


def _head_dtype(classifier: Network) -> torch.dtype:
    dtype: torch.dtype = next(classifier.score.parameters()).dtype
    return dtype


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
    classifier = classifier_of(model.network)
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


def open_language_model(base: str) -> tuple[Network, Tokenizer]:
    """A causal language model with its head and its tokenizer, in float32.

    Raises:
        ModelError: there is no usable model of that name.
    """
    with one_line_errors(base):
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        network = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return network, tokenizer


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
def one_line_errors(source: str) -> Iterator[None]:
    """Turns what loading raises into one line; the library has no common class for it."""
    try:
        with quiet():
            yield
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"cannot open model {source}: {reason}") from error
