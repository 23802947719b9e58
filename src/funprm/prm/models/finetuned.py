"""Trunks that training changes: whole, or by adapters."""

from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from torch import nn

from funprm.config import TrainConfig
from funprm.errors import ModelError
from funprm.prm.identity import resolve_base
from funprm.prm.models.network import (
    Network,
    Opened,
    RewardModel,
    classifier_of,
    device_of,
    one_line_errors,
    quiet,
)
from funprm.prm.rendering import Renderer, Tokenizer
from funprm.records import Json

ADAPTER = "adapter_config.json"
SIGMOID = "multi_label_classification"
"""The problem type by which the field's classes fit, and servers apply, a sigmoid to one label."""
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


def open_finetuned(config: TrainConfig) -> Opened:
    """A fresh head on the trunk of `config.base`; it is zero, so every p is 1/2.

    Raises:
        ModelError: there is no usable model of that name.
        ConfigError: the tokenizer has no marker.
    """
    base = resolve_base(config.base)
    with one_line_errors(base):
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        renderer = _renderer(tokenizer, config.marker)
        network = _load_network(base, renderer.pad_id, _frozen_dtype(config))
    nn.init.zeros_(network.score.weight)
    if config.tuning == "lora":
        network = _with_adapters(network, config)
    classifier_of(network).score.float()
    model = RewardModel(network, bf16=config.precision == "bf16")
    for parameter in model.trainable().values():
        parameter.data = parameter.data.float()
    if config.checkpointing:
        with quiet():
            network.gradient_checkpointing_enable({"use_reentrant": False})
        # A hook for the reentrant kind, which forward-mode differentiation cannot pass.
        classifier_of(network).disable_input_require_grads()
    return Opened(model.to(device_of(config.device)), tokenizer, renderer, config.max_tokens)


def open_saved_finetuned(
    folder: Path, settings: Mapping[str, Json], device: str, *, bf16: bool
) -> Opened:
    """A model with weights or adapters of its own from the folder that `opening.save` wrote.

    Raises:
        ModelError: the folder is incomplete.
    """
    with one_line_errors(str(folder)):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        renderer = _renderer(tokenizer, settings["marker"])
        network = _open_network(folder, renderer.pad_id)
    model = RewardModel(network, bf16=bf16).to(device_of(device)).eval()
    return Opened(model, tokenizer, renderer, settings["max_tokens"])


def _renderer(tokenizer: Tokenizer, marker: str) -> Renderer:
    """The tokenizer's renderer; the tokenizer gets what servers need: padding, a chat template.

    The standard classes pad a batch by the tokenizer, and find its programs' ends by the model's
    `pad_token_id`: both must be the same.
    """
    renderer = Renderer(tokenizer, marker)
    if tokenizer.pad_token_id != renderer.pad_id:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(renderer.pad_id)
    tokenizer.chat_template = renderer.chat_template()
    return renderer


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
    settings.problem_type = SIGMOID
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
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(config.seed)
        adapted = peft.get_peft_model(network, settings)
    # The library adds every name a head may have; servers want the one it has.
    settings.modules_to_save = ["score"]
    return adapted


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
