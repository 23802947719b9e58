"""One encoding of a statement, shared by all programs that answer it.

Attention is causal: what a trunk makes of a statement does not depend on the program that
follows. So its keys and values are computed once, and every program goes on from them.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from funprm.prm.rendering import Encoded

WORTH = 256
"""Tokens that sharing must spare, for its own forward pass costs something, too."""

Trunk = Any
"""A transformers model that takes a cache (no static type)."""

Cache: Any = DynamicCache
"""Its layers' static types know of none that hold keys and values."""


def other_layers(config: Any) -> set[str]:  # noqa: ANN401 - the library's settings are untyped
    """Kinds of cached layers that cannot be shared: those that do not see all tokens before."""
    layers = DynamicCache(config=config).layers
    return {type(layer).__name__ for layer in layers if type(layer) is not DynamicLayer}


def groups_of(programs: Iterable[Encoded]) -> list[list[Encoded]]:
    """Programs that begin with the same statement, where sharing it is worth while."""
    found: dict[tuple[int, ...], list[Encoded]] = {}
    for program in programs:
        found.setdefault(program.tokens[: program.start], []).append(program)
    return [group for group in found.values() if (len(group) - 1) * group[0].start >= WORTH]


def suffix(program: Encoded) -> Encoded:
    """A program without its statement."""
    start = program.start
    return Encoded(program.tokens[start:], tuple(marker - start for marker in program.markers))


class Statement:
    """A statement as a trunk has encoded it.

    Args:
        trunk: what encodes; all its layers see all tokens before (`other_layers` is empty).
        tokens: of the statement, not empty.
        device: where the trunk is.
        given: further arguments of the trunk's call.
    """

    def __init__(
        self, trunk: Trunk, tokens: tuple[int, ...], device: torch.device | str, **given: object
    ) -> None:
        self._trunk = trunk
        # The argument was renamed in the course of transformers 5.
        names = inspect.signature(trunk.forward).parameters
        self._argument = "cache" if "cache" in names else "past_key_values"
        cache = Cache(config=trunk.config)
        self.output = self._call(torch.tensor([tokens], device=device), cache, given)
        """The trunk's, of the statement alone."""
        self._states = [(layer.keys, layer.values) for layer in cache.layers]

    def follow(self, tokens: Tensor, **given: object) -> Any:  # noqa: ANN401 - untyped
        """The trunk's output for what follows, right-padded token ids, [programs, longest]."""
        cache = Cache(config=self._trunk.config)
        for index, states in enumerate(self._states):
            keys, values = (x.expand(len(tokens), -1, -1, -1) for x in states)
            cache.update(keys, values, index)
        return self._call(tokens, cache, given)

    def _call(self, tokens: Tensor, cache: Any, given: dict[str, Any]) -> Any:  # noqa: ANN401
        arguments = {**given, self._argument: cache}
        return self._trunk(input_ids=tokens, use_cache=True, **arguments)
