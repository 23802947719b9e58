"""Training in double precision: what rounding decides in single precision, it leaves alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from funprm.config import TrainConfig
from funprm.prm.correction import reweighting
from funprm.prm.models import opening
from funprm.prm.models.frozen import FeatureCache
from funprm.prm.models.network import Opened
from funprm.prm.training import preparation


def double_norm(self: Qwen2RMSNorm, hidden: Tensor) -> Tensor:
    """The library's norm, without its detour through float32."""
    scale = torch.rsqrt(hidden.square().mean(-1, keepdim=True) + self.variance_epsilon)
    return self.weight * hidden * scale


@contextmanager
def double_precision() -> Iterator[None]:
    """Models are opened in float64, features of frozen trunks are handed on in it.

    Two orders of the same sums then differ by 1e-16 and not by 1e-7, which Adam's first steps and
    the finite difference (one part in 1e6, or in 1e3) magnify, by how much each processor's
    kernels decide.
    """
    features: Any = FeatureCache.matrix
    single = reweighting._fresh_net

    def opened(config: TrainConfig) -> Opened:
        found = opening.open_base(config)
        found.model.double()
        return found

    def fresh_net(seed: int) -> torch.nn.Module:
        return single(seed).double()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Qwen2RMSNorm, "forward", double_norm)
        patch.setattr(FeatureCache, "matrix", property(lambda cache: features.fget(cache).double()))
        patch.setattr(preparation, "open_base", opened)
        patch.setattr(reweighting, "_fresh_net", fresh_net)
        yield
