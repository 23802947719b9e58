"""How many rows are drawn together: what the processor gains from, and its memory holds."""

import os
from pathlib import Path

import torch
from transformers import PreTrainedModel

from funprm.language_models import is_small

_MOST = 256
_MOST_ON_CPU = 64
"""Rows of a model that is not small; its matrix products gain little from more, and waiting for
the last rows of a stage costs more."""
_SHARE = 0.5
"""Of the free memory."""
_COPIES = 2.5
"""Buffers of keys and values have a quarter more room, and are twice there while they grow."""
_LOGITS = 16
"""Bytes for each token of the vocabulary."""
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def suitable_rows(model: PreTrainedModel, tokens: int) -> int:
    """How many rows to draw together, at least 1.

    Args:
        model: what is drawn from, on its device.
        tokens: of a row, prompt and answer.
    """
    on_cpu = model.device.type == "cpu"
    most = _MOST_ON_CPU if on_cpu and not is_small(model) else _MOST
    fitting = int(_SHARE * _free(model.device) / _bytes(model, tokens))
    return max(1, min(most, fitting))


def _bytes(model: PreTrainedModel, tokens: int) -> int:
    """Memory of one row."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    numbers = 2 * config.num_hidden_layers * heads * width * tokens
    return int(numbers * model.dtype.itemsize * _COPIES + config.vocab_size * _LOGITS)


def _free(device: torch.device) -> int:
    """Free bytes of a device's memory."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_available(), *(_below(*paths) for paths in _LIMITS))


def _available() -> int:
    """What the system says it can give; of systems that do not say it, half of all memory."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(x.split()[1]) for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _below(limit: str, used: str) -> int:
    """What a group of processes may still take; without a limit very much."""
    try:
        most, now = (int(Path(path).read_text(encoding="ascii")) for path in (limit, used))
        return max(0, most - now)
    except (OSError, ValueError):
        return 2**62
