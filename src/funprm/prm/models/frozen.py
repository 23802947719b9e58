"""A frozen trunk: features of every step are computed once, and a small head is trained on them.

The features of a step are what the language model itself makes of it: the hidden state at its
marker, and the log-probabilities of its tokens (mean, least, sum; least and sum over the prefix,
too). All else, phases, batches, correction and validation, is that of other models: a program is
rendered as the number of its first row among the features, and its markers count its rows.

A diagnostic, and the way to train reward models on a CPU in seconds.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from funprm.config import TrainConfig
from funprm.errors import ModelError
from funprm.language_models import fitting_threads
from funprm.prm.batches import padded
from funprm.prm.identity import resolve_base
from funprm.prm.models.network import (
    Opened,
    RewardModel,
    device_of,
    open_language_model,
)
from funprm.prm.rendering import Encoded, Renderer, Tokenizer
from funprm.prm.sharing import Statement, groups_of, other_layers
from funprm.records import Json, LabelledProgram

FEATURES = 1
"""Version of the features; raised when the same step would have others."""

LIKELIHOODS = 5
"""Features beside the hidden state: see `_likelihoods`."""

HEAD = "head.safetensors"
LOGITS = 2**24
"""Most logits of a batch while features are computed: 64 MiB."""

Program = tuple[str, tuple[str, ...]]
"""Statement and steps."""


class FeatureCache:
    """Features of all programs seen by this process, on one trunk.

    Args:
        base: folder or hub name of the language model.
        marker: as for `Renderer`.
        device: where the trunk runs and the features are.
        max_tokens: bound on a program's tokens.
    """

    def __init__(self, base: str, marker: str, device: str, max_tokens: int) -> None:
        network, self.tokenizer = open_language_model(base)
        self.device = device_of(device)
        self._base, self._marker = base, marker
        self._network = network.to(self.device).eval()
        self.renderer = Renderer(self.tokenizer, marker)
        self.max_tokens = max_tokens
        self.width = int(network.config.hidden_size) + LIKELIHOODS
        self.digest = _digest(network)
        self._found: dict[Program, Encoded | None] = {}
        self._parts = [torch.zeros(0, self.width, device=self.device)]
        self._rows = 0

    def serves(self, base: str, marker: str, device: str, max_tokens: int) -> bool:
        """Whether a cache made with these arguments would be the same."""
        return (
            base == self._base
            and marker in (self._marker, self.renderer.marker)
            and device_of(device) == self.device
            and max_tokens == self.max_tokens
        )

    @property
    def matrix(self) -> Tensor:
        """All features, float32 [rows, width]."""
        if len(self._parts) > 1:
            self._parts = [torch.cat(self._parts)]
        return self._parts[0]

    def look_up(self, programs: Sequence[LabelledProgram]) -> list[Encoded | None]:
        """Each program as (row of its first step,) and its steps' numbers; None: does not fit."""
        names = [(program.statement, program.steps) for program in programs]
        fresh = {n: p for n, p in zip(names, programs, strict=True) if n not in self._found}
        if fresh:
            self._compute(fresh)
        return [self._found[name] for name in names]

    def _compute(self, programs: Mapping[Program, LabelledProgram]) -> None:
        rendered = self.renderer.encode_all(list(programs.values()), self.max_tokens)
        self._found |= dict.fromkeys(programs)
        named = [(n, e) for n, e in zip(programs, rendered, strict=True) if e is not None]
        with torch.inference_mode(), fitting_threads(self._network):
            shared = (
                []
                if other_layers(self._network.config)
                else groups_of(dict.fromkeys(e for _, e in named))
            )
            for group in shared:
                head = group[0].tokens[: group[0].start]
                statement = Statement(self._network, head, self.device, logits_to_keep=1)
                members = set(group)
                self._add_all([x for x in named if x[1] in members], statement)
                named = [x for x in named if x[1] not in members]
            self._add_all(named, None)

    def _add_all(
        self, programs: Sequence[tuple[Program, Encoded]], statement: Statement | None
    ) -> None:
        """Adds programs, those of like length together; all answer the statement, if given."""
        rest = sorted(programs, key=_length)
        while rest:
            longest = _length(rest[-1]) - (rest[-1][1].start if statement else 0)
            size = max(1, LOGITS // (self._network.config.vocab_size * longest))
            self._add(rest[-size:], statement)
            del rest[-size:]

    def _add(self, batch: Sequence[tuple[Program, Encoded]], statement: Statement | None) -> None:
        cut = batch[0][1].start if statement else 0
        tokens = padded([e.tokens[cut:] for _, e in batch], self.renderer.pad_id).to(self.device)
        if statement:
            out = statement.follow(tokens, output_hidden_states=True)
            before = statement.output.logits[:, -1:].expand(len(batch), -1, -1)
            logits, wanted = torch.cat([before, out.logits[:, :-1]], 1), tokens
        else:
            out = self._network(input_ids=tokens, use_cache=False, output_hidden_states=True)
            logits, wanted = out.logits[:, :-1], tokens[:, 1:]
        hidden = out.hidden_states[-1].float()
        # The marker's own log-probability says nothing of the step.
        log_probs = -nn.functional.cross_entropy(
            logits.float().flatten(0, 1), wanted.flatten(), reduction="none"
        ).view(len(batch), -1)
        for i, (name, encoded) in enumerate(batch):
            likelihoods = _likelihoods(log_probs[i], encoded, max(0, cut - 1))
            markers = [marker - cut for marker in encoded.markers]
            rows = torch.cat([hidden[i, markers], likelihoods], 1)
            steps = tuple(range(len(encoded.markers)))
            self._found[name] = Encoded((self._rows,), steps, encoded.shortened)
            self._parts.append(rows)
            self._rows += len(rows)


def _length(item: tuple[Program, Encoded]) -> int:
    return len(item[1].tokens)


def _likelihoods(log_probs: Tensor, encoded: Encoded, first: int) -> Tensor:
    """Of each step, [steps, 5]: mean, least, sum; least and sum up to its end.

    Args:
        log_probs: log-probability of token first + t + 1 given those before.
        encoded: where the steps are.
        first: what is left out at the beginning.
    """
    starts = [encoded.start, *(marker + 1 for marker in encoded.markers[:-1])]
    rows = []
    for start, marker in zip(starts, encoded.markers, strict=True):
        own = log_probs[start - 1 - first : marker - 1 - first]
        own = own if len(own) else log_probs.new_zeros(1)
        rows.append(torch.stack([own.mean(), own.min(), own.sum()]))
    table = torch.stack(rows)
    return torch.cat([table, table[:, 1:2].cummin(0).values, table[:, 2:3].cumsum(0)], 1)


def _digest(network: nn.Module) -> str:
    """Tells trunks apart: a hash of all weights."""
    found = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode())
        flat = tensor.detach().flatten().contiguous().cpu()
        found.update(flat.view(torch.uint8).numpy())
    return found.hexdigest()


_caches: list[FeatureCache] = []


def cache_of(base: str, marker: str, device: str, max_tokens: int) -> FeatureCache:
    """The process's features of a trunk, shared by all trainings; those of one trunk at a time."""
    for cache in _caches:
        if cache.serves(base, marker, device, max_tokens):
            return cache
    _caches[:] = [FeatureCache(base, marker, device, max_tokens)]
    return _caches[0]


class Head(nn.Module):
    """Standardises features and scores them; what is stored of a model with a frozen trunk.

    Args:
        width: number of features.
        hidden: units of a hidden layer; 0: linear.
        seed: of the hidden layer.
    """

    def __init__(self, width: int, hidden: int, seed: int) -> None:
        super().__init__()
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.zeros(width))
        last = nn.Linear(hidden or width, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.score: nn.Module = last
        if hidden:
            first = nn.Linear(width, hidden)
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                first.weight.normal_(0.0, width**-0.5, generator=generator)
                first.bias.zero_()
            self.score = nn.Sequential(first, nn.Tanh(), last)

    def standardise(self, rows: Tensor) -> None:
        """Takes mean and deviation of the training programs' features, unless it has some."""
        if bool(self.scale.any()):
            return
        deviation, mean = torch.std_mean(rows, dim=0, correction=0)
        self.shift = mean
        self.scale = torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), 0.0)

    def forward(self, rows: Tensor) -> Tensor:
        """Logits of rows of features, [R]."""
        logits: Tensor = self.score((rows - self.shift) * self.scale).squeeze(-1)
        return logits

    def save_pretrained(self, folder: Path) -> None:
        """Writes all tensors."""
        save_file({n: t.contiguous() for n, t in self.state_dict().items()}, folder / HEAD)


class FrozenModel(RewardModel):
    """A head on stored features, called as any reward model.

    Args:
        cache: the features.
        head: what is trained.
    """

    def __init__(self, cache: FeatureCache, head: Head) -> None:
        super().__init__(head)
        self._cache = cache

    @property
    def unshared(self) -> str:
        """Nothing to share here: the cache has done it."""
        return ""

    def fit_inputs(self, programs: Sequence[Encoded]) -> None:
        """Standardise features by those of the programs, unless that is done."""
        rows = [program.tokens[0] + step for program in programs for step in program.markers]
        if rows:
            head: Head = self.network
            head.standardise(self._cache.matrix[rows])

    def forward(self, tokens: Tensor, program: Tensor, position: Tensor) -> Tensor:
        """Logits z, float32 [R].

        Args:
            tokens: row of each program's first step, int64 [programs, 1].
            program: the program of each wanted step, int64 [R].
            position: the step's number, int64 [R].
        """
        logits: Tensor = self.network(self._cache.matrix[tokens[program, 0] + position])
        return logits


class FrozenRenderer(Renderer):
    """Renders programs as rows of features.

    Args:
        cache: where the features are.
        settings: what is stored beside the head.
    """

    def __init__(self, cache: FeatureCache, settings: Mapping[str, Json]) -> None:
        self._cache, self._settings = cache, settings
        self.marker, self.marker_id = cache.renderer.marker, cache.renderer.marker_id
        self.pad_id = 0

    def settings(self) -> Mapping[str, Json]:
        """Rendering, marker, trunk and head."""
        return {**self._cache.renderer.settings(), **self._settings}

    def encode_all(
        self, programs: Sequence[LabelledProgram], max_tokens: int
    ) -> list[Encoded | None]:
        """As `Renderer.encode_all`, with rows of features for tokens."""
        return self._cache.look_up(programs)


def open_frozen(config: TrainConfig) -> Opened:
    """A fresh head on the features of `config.base`; it is zero, so every p is 1/2.

    Raises:
        ModelError: there is no usable model of that name.
        ConfigError: the tokenizer has no marker.
    """
    cache = cache_of(resolve_base(config.base), config.marker, config.device, config.max_tokens)
    head = Head(cache.width, config.head_hidden, config.seed)
    return _opened(cache, head, config.head_hidden)


def open_saved_frozen(folder: Path, settings: Mapping[str, Json], device: str) -> Opened:
    """A model with a frozen trunk from the folder that `opening.save` wrote.

    Raises:
        ModelError: its head is missing, or its trunk is another one by now.
    """
    base = str(settings["base"])
    cache = cache_of(resolve_base(base), settings["marker"], device, settings["max_tokens"])
    head = Head(cache.width, settings["head_hidden"], 0)
    if settings["trunk"] != cache.digest or settings["features"] != FEATURES:
        raise ModelError(
            f"{folder} was trained on features of another version of {base}: train again"
        )
    try:
        head.load_state_dict(load_file(folder / HEAD))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{folder / HEAD} is missing or damaged: train again") from error
    return _opened(cache, head, settings["head_hidden"])


def _opened(cache: FeatureCache, head: Head, hidden: int) -> Opened:
    model = FrozenModel(cache, head.to(cache.device))
    settings: dict[str, Any] = {"features": FEATURES, "trunk": cache.digest, "head_hidden": hidden}
    tokenizer: Tokenizer = cache.tokenizer
    return Opened(model, tokenizer, FrozenRenderer(cache, settings), cache.max_tokens)
