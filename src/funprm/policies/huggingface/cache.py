"""A key-value cache whose rows come and go cheaply.

The transformers library's own cache concatenates a new tensor at every token, which for small
models on a CPU costs about as much as the attention itself. Here keys and values are written
into buffers with room to spare. All rows end in the same column; a row that is shorter than
others has columns before it that mean nothing.
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
        self._first = self._end = 0
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Appends tokens, [rows, heads, new tokens, head width]; returns all keys and values."""
        past, end = self._end, self._end + key_states.shape[-2]
        if self._buffers is None:
            self._buffers = (_buffer(key_states, end), _buffer(value_states, end))
        elif self._buffers[0].shape[-2] < end:
            self._move(0, key_states.shape[-2])
            past, end = self._end, self._end + key_states.shape[-2]
        keys, values = self._buffers
        keys[:, :, past:end] = key_states
        values[:, :, past:end] = value_states
        return self._show(self._first, end)

    def keep(self, rows: Tensor) -> None:
        """Keeps these rows, in this order and as often as named."""
        kept = []
        for old in (self.keys, self.values):
            states = cast(Tensor, old)
            buffer = _buffer(states[:1].expand(len(rows), -1, -1, -1), states.shape[-2])
            torch.index_select(states, 0, rows, out=buffer[:, :, : states.shape[-2]])
            kept.append(buffer)
        self._buffers = (kept[0], kept[1])
        self._show(0, self._end - self._first)

    def trim(self, columns: int) -> None:
        """Forgets the first columns."""
        self._show(self._first + columns, self._end)

    def widen(self, columns: int) -> None:
        """Puts empty columns before the first."""
        self._move(columns, 0)

    def reserve(self, rows: int, like: "BufferedLayer") -> None:
        """Begins with so many empty rows, as wide as another layer."""
        width = like.get_seq_length()
        states = [cast(Tensor, x)[:1].expand(rows, -1, -1, -1) for x in (like.keys, like.values)]
        self._buffers = (_buffer(states[0], width).zero_(), _buffer(states[1], width).zero_())
        self._show(0, width)

    def put(self, rows: Tensor, source: "BufferedLayer", picked: Tensor) -> None:
        """Overwrites rows with those of a layer that is at most as wide; both end together."""
        width = source.get_seq_length()
        for old, new in ((self.keys, source.keys), (self.values, source.values)):
            cast(Tensor, old)[rows, :, -width:] = cast(Tensor, new)[picked]

    def get_seq_length(self) -> int:
        """Number of columns held."""
        return self._end - self._first

    def _move(self, before: int, after: int) -> None:
        """Into larger buffers, with columns of zeros before."""
        width = self.get_seq_length()
        larger = []
        for old in (self.keys, self.values):
            buffer = _buffer(cast(Tensor, old), before + width + after)
            buffer[:, :, :before] = 0
            buffer[:, :, before : before + width] = cast(Tensor, old)
            larger.append(buffer)
        self._buffers = (larger[0], larger[1])
        self._show(0, before + width)

    def _show(self, first: int, end: int) -> tuple[Tensor, Tensor]:
        keys, values = cast(tuple[Tensor, Tensor], self._buffers)
        self._first, self._end = first, end
        self.keys, self.values = keys[:, :, first:end], values[:, :, first:end]
        self.is_initialized = True
        return self.keys, self.values


def _buffer(like: Tensor, tokens: int) -> Tensor:
    """An empty buffer with room for a quarter more tokens, at least 32."""
    return like.new_empty(*like.shape[:2], tokens + max(32, tokens // 4), like.shape[3])


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
        """True if every layer attends to all tokens: one mask is right for all layers, and
        rows may join and columns go (`trim`, `widen`, `reserve`, `put`)."""
        self._rows = [x if isinstance(x, _Sliding) else BufferedLayer() for x in self.layers]
        self.layers = list(self._rows)

    def keep(self, rows: Tensor) -> None:
        """Keeps rows (indices [kept], may repeat)."""
        for layer in self._rows:
            if isinstance(layer, BufferedLayer):
                layer.keep(rows)
            else:
                layer.batch_select_indices(rows)

    def trim(self, columns: int) -> None:
        """Forgets the first columns; they mean nothing to any row."""
        for layer in self._buffered():
            layer.trim(columns)

    def reserve(self, rows: int, like: "RowCache") -> None:
        """Begins with so many empty rows, as wide as another cache."""
        for layer, other in zip(self._buffered(), like._buffered(), strict=True):
            layer.reserve(rows, other)

    def put(self, rows: Tensor, source: "RowCache", picked: Tensor) -> None:
        """Overwrites rows (indices) with those of another cache; widens where it must."""
        missing = source.get_seq_length() - self.get_seq_length()
        for layer, other in zip(self._buffered(), source._buffered(), strict=True):
            if missing > 0:
                layer.widen(missing)
            layer.put(rows, other, picked)

    def _buffered(self) -> list[BufferedLayer]:
        return [layer for layer in self._rows if isinstance(layer, BufferedLayer)]
