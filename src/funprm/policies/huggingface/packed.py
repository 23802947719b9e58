"""Linear layers whose weights lie as a CPU's matrix product reads them.

The library's own layers rearrange their weights at every call, which for a batch of a few dozen
rows takes about as long as the product.
"""

from typing import Any

import torch
from torch import Tensor, nn

_ROWS = 64
"""Rows for which the arrangement is chosen; others are multiplied right, too."""
_kernels: Any = torch.ops.mkldnn
_library: Any = torch.backends.mkldnn  # untyped
_DTYPES = (torch.bfloat16, torch.float32)


class PackedLinear(nn.Module):
    """A linear layer for inference on a CPU.

    Args:
        layer: what it computes; on a CPU.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._packed = _kernels._reorder_linear_weight(layer.weight.detach(), _ROWS)
        # Says how many numbers there are, and holds none.
        self.weight = nn.Parameter(layer.weight.detach().to("meta"), requires_grad=False)
        self.bias = layer.bias

    def forward(self, rows: Tensor) -> Tensor:
        """The layer's output, [..., out_features]."""
        product: Tensor = _kernels._linear_pointwise(rows, self._packed, self.bias, "none", [], "")
        return product


def pack(model: nn.Module) -> int:
    """Replaces the linear layers of a model on a CPU; returns how many.

    None where this build of PyTorch has no such product, or the numbers are of another type.
    """
    if not (_library.is_available() and hasattr(_kernels, "_reorder_linear_weight")):
        return 0
    count = 0
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear and layer.weight.dtype in _DTYPES:
                setattr(parent, name, PackedLinear(layer))
                count += 1
    return count
