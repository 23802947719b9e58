"""Tiny reward models, saved as those of others are."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    LlamaConfig,
    LlamaForSequenceClassification,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForTokenClassification,
    Qwen3Config,
    Qwen3ForSequenceClassification,
)

from funprm.records import LabelledProgram
from tests.prm.world import make_tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)
BARE = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>", "<|step|>", "<unk>"]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
}


def program(number: int, *steps: str) -> LabelledProgram:
    return LabelledProgram(
        generation=str(number),
        problem_id=f"p{number % 2}",
        statement=f"Return {number % 2}.",
        steps=steps,
        prefixes=(),
    )


PROGRAMS = [
    program(0, "def f():\n    return 0\n"),
    program(1, "import os\n\ndef g():\n    return 1\n\n\n", "def f():\n    return g()\n"),
    program(2, "def f():\n    return 0  # as asked, nothing else, as short as can be\n"),
    program(3, "def f():\n    return 1\n"),
]


def save(folder: Path, kind: str, **settings: Any) -> Path:
    """A random model in somebody's layout."""
    tokenizer = make_tokenizer(SPECIAL)
    tokenizer.chat_template = BARE if kind == "skywork-llama" else CHATML
    torch.manual_seed(3)
    sizes = {**SIZES, "vocab_size": len(tokenizer)}
    if kind == "acecode":
        _save_value_head(folder, Qwen2Config(**sizes, pad_token_id=0))
    elif kind == "steps":
        config = Qwen2Config(**{**sizes, "pad_token_id": 0, "num_labels": 2})
        _saved(Qwen2ForTokenClassification, config, folder)
    elif kind == "skywork-llama":  # no padding token: one text at a time
        llama = LlamaConfig(**{**sizes, "pad_token_id": None, "num_labels": 1})
        _saved(LlamaForSequenceClassification, llama, folder)
    else:
        made = Qwen3Config(**sizes, pad_token_id=0, head_dim=8, **{"num_labels": 1, **settings})
        dtype = torch.bfloat16 if kind == "themis" else torch.float32
        _saved(Qwen3ForSequenceClassification, made, folder, dtype)
    tokenizer.save_pretrained(folder)
    return folder


def _saved(kind: Any, config: Any, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    kind(config).to(dtype).save_pretrained(folder)


def _save_value_head(folder: Path, config: Qwen2Config) -> None:
    Qwen2ForCausalLM(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights["v_head.summary.weight"] = torch.randn(1, config.hidden_size) / 4
    weights["v_head.summary.bias"] = torch.tensor([0.5])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    settings = json.loads((folder / "config.json").read_text())
    settings["architectures"] = ["Qwen2ForCausalRM"]
    (folder / "config.json").write_text(json.dumps(settings))
