"""A key-value cache whose rows can be copied, dropped and trimmed cheaply.

The transformers library's own cache concatenates a new tensor at every token, which for small
models on a CPU costs about as much as the attention itself. Here keys and values are written
into buffers with room to spare.
"""

from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.cache_utils import DynamicSlidingWindowLayer as _Sliding

from funprm.errors import ModelError


class BufferedLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one full-attention layer.

    `keys` and `values`, [rows, heads, tokens, head width], are views of buffers that are longer.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._length = 0
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Appends tokens, [rows, heads, new tokens, head width]; returns all keys and values."""
        past, length = self._length, self._length + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < length:
            self._grow(key_states, value_states, length)
        keys, values = cast(tuple[Tensor, Tensor], self._buffers)
        keys[:, :, past:length] = key_states
        values[:, :, past:length] = value_states
        return self._show(length)

    def keep(self, rows: Tensor, first: int) -> None:
        """Keeps these rows, in this order and as often as named, from column `first` on."""
        length = self._length - first
        kept = []
        for states in (self.keys, self.values):
            old = cast(Tensor, states)[:, :, first:]
            buffer = _buffer(old, len(rows), length)
            torch.index_select(old, 0, rows, out=buffer[:, :, :length])
            kept.append(buffer)
        self._buffers = (kept[0], kept[1])
        self._show(length)

    def get_seq_length(self) -> int:
        """Number of tokens held per row, padding included."""
        return self._length

    def _grow(self, key_states: Tensor, value_states: Tensor, length: int) -> None:
        rows, past = key_states.shape[0], self._length
        larger = (_buffer(key_states, rows, length), _buffer(value_states, rows, length))
        for old, new in zip(self._buffers or (), larger, strict=False):
            new[:, :, :past] = old[:, :, :past]
        self._buffers = larger

    def _show(self, length: int) -> tuple[Tensor, Tensor]:
        keys, values = cast(tuple[Tensor, Tensor], self._buffers)
        self._length = length
        self.keys, self.values = keys[:, :, :length], values[:, :, :length]
        self.is_initialized = True
        return self.keys, self.values


def _buffer(like: Tensor, rows: int, tokens: int) -> Tensor:
    """An empty buffer with room for a quarter more tokens, at least 32."""
    return like.new_empty(rows, like.shape[1], tokens + max(32, tokens // 4), like.shape[3])


class RowCache(DynamicCache):
    """The cache of one batch. Full-attention layers are buffered; sliding ones are the library's.

    Raises:
        ModelError: the model has layers of another kind, such as linear attention.
    """

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config=config)
        other = {type(x).__name__ for x in self.layers} - {"DynamicLayer", _Sliding.__name__}
        if other:
            raise ModelError(
                f"the model keeps its past in layers of type {', '.join(sorted(other))}, which "
                "cannot be sampled here: expected attention layers; serve it and use openai_api"
            )
        self.full = not any(isinstance(layer, _Sliding) for layer in self.layers)
        """True if every layer attends to all tokens: one padding mask is right for all layers."""
        self._rows = [x if isinstance(x, _Sliding) else BufferedLayer() for x in self.layers]
        self.layers = list(self._rows)

    def keep(self, rows: Tensor, first: int) -> None:
        """Keeps rows (indices [kept], may repeat) and columns from `first` on.

        `first` must be 0 unless the cache is `full`.
        """
        for layer in self._rows:
            if isinstance(layer, BufferedLayer):
                layer.keep(rows, first)
            else:
                layer.batch_select_indices(rows)
