"""Scoring with a trained reward model: one forward pass per statement and one per program."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from funprm.errors import ModelError
from funprm.language_models import fitting_threads
from funprm.prm.batches import padded
from funprm.prm.identity import scorer_identity
from funprm.prm.models.network import RewardModel
from funprm.prm.models.opening import open_saved, read_settings
from funprm.prm.reading import reading_of
from funprm.prm.rendering import Encoded
from funprm.prm.sharing import groups_of, suffix
from funprm.records import Json, LabelledProgram

WINDOW = 1024
"""Programs that are sorted by length together; results come in order, a window at a time."""

CPU_TOKENS = 2048
"""Activations of a batch stay in the caches: a quarter faster than 16,384 (1M parameters)."""
GPU_TOKENS = 16_384


def step_scores(
    model: RewardModel, programs: Sequence[Encoded], pad: int, batch_tokens: int
) -> list[tuple[float, ...]]:
    """Step scores in [0, 1] of rendered programs, in their order.

    Programs of like length share a batch of at most `batch_tokens` tokens with padding; equal
    ones are computed once, and so are statements, where the model can (`RewardModel.unshared`)
    and it pays.

    Args:
        model: the reward model.
        programs: rendered programs.
        pad: token id for padding.
        batch_tokens: bound on a batch; one program alone may exceed it.
    """
    distinct = sorted(set(programs), key=lambda e: (len(e.tokens), e.tokens))
    found: dict[Encoded, tuple[float, ...]] = {}
    device = next(model.parameters()).device
    with torch.inference_mode(), fitting_threads(model):
        groups = [] if model.unshared else groups_of(distinct)
        for group in groups:
            statement = model.encode(group[0].tokens[: group[0].start], device)
            call = partial(model.follow, statement)
            suffixes = [suffix(program) for program in group]
            found |= zip(group, _scored(call, suffixes, pad, batch_tokens, device), strict=True)
        rest = [program for program in distinct if program not in found]
        found |= zip(rest, _scored(model, rest, pad, batch_tokens, device), strict=True)
    return [found[program] for program in programs]


def _scored(
    call: Callable[[Tensor, Tensor, Tensor], Tensor],
    programs: Sequence[Encoded],
    pad: int,
    batch_tokens: int,
    device: torch.device,
) -> Iterator[tuple[float, ...]]:
    """Step scores of programs, which are sorted by length, a batch at a time."""
    start = 0
    while start < len(programs):
        stop = start + 1
        while stop < len(programs) and _area(programs, start, stop) <= batch_tokens:
            stop += 1
        yield from _forward(call, programs[start:stop], pad, device)
        start = stop


def _area(programs: Sequence[Encoded], start: int, stop: int) -> int:
    return (stop - start + 1) * len(programs[stop].tokens)


def _forward(
    call: Callable[[Tensor, Tensor, Tensor], Tensor],
    batch: Sequence[Encoded],
    pad: int,
    device: torch.device,
) -> list[tuple[float, ...]]:
    places = [(i, marker) for i, program in enumerate(batch) for marker in program.markers]
    place = torch.tensor(places, device=device)
    tokens = padded([program.tokens for program in batch], pad).to(device)
    scores = iter(call(tokens, place[:, 0], place[:, 1]).double().sigmoid().tolist())
    return [tuple(next(scores) for _ in program.markers) for program in batch]


class PrmScorer:
    """A reward model from a folder; implements `interfaces.Scorer`.

    Args:
        folder: what training wrote (`model`), whole weights or adapters.
        device: auto, cpu, cuda, cuda:1, ...
        batch_tokens: bound on a batch's tokens, padding included; 0: what suits the device.
        precision: fp32 or bf16; bf16 halves time on a GPU and costs about three digits.

    Raises:
        ModelError: the folder is missing or damaged.
    """

    def __init__(
        self,
        folder: Path | str,
        device: str = "auto",
        batch_tokens: int = 0,
        precision: str = "fp32",
    ) -> None:
        self._folder = folder
        self.reading = reading_of(read_settings(Path(folder)), folder)
        """How programs are to be cut, and which scores count."""
        self._opened = open_saved(folder, device, bf16=precision == "bf16")
        on_cpu = next(self._opened.model.parameters()).device.type == "cpu"
        self._batch_tokens = batch_tokens or (CPU_TOKENS if on_cpu else GPU_TOKENS)
        self._identity = scorer_identity(Path(folder), precision)
        if reason := self._opened.model.unshared:
            warnings.warn(
                f"{folder}: statements are encoded once per program, not once per problem, "
                f"because {reason}; scores are the same",
                stacklevel=2,
            )

    def identity(self) -> Mapping[str, Json]:
        """Fingerprint of weights and tokenizer, precision, and rendering."""
        return self._identity

    def score(self, programs: Sequence[LabelledProgram]) -> Iterator[tuple[float, ...]]:
        """Step scores in [0, 1] per program, in order; empty where its code does not fit.

        Raises:
            ModelError: a program has more steps than any that the model was trained on.
        """
        opened = self._opened
        self._require_cut(programs)
        for start in range(0, len(programs), WINDOW):
            window = programs[start : start + WINDOW]
            encoded = opened.renderer.encode_all(window, opened.max_tokens)
            fitting = [e for e in encoded if e is not None]
            scores = iter(
                step_scores(opened.model, fitting, opened.renderer.pad_id, self._batch_tokens)
            )
            yield from (() if e is None else next(scores) for e in encoded)

    def score_texts(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Step scores in [0, 1] at the markers of rendered texts; empty where one does not fit.

        Raises:
            DataError: a text has no marker.
        """
        opened = self._opened
        encoded = [opened.renderer.encode_text(text) for text in texts]
        fitting = [e for e in encoded if len(e.tokens) <= opened.max_tokens]
        found = iter(step_scores(opened.model, fitting, opened.renderer.pad_id, self._batch_tokens))
        return [next(found) if len(e.tokens) <= opened.max_tokens else () for e in encoded]

    def _require_cut(self, programs: Sequence[LabelledProgram]) -> None:
        cap, most = self.reading.max_steps, max((len(p.steps) for p in programs), default=0)
        if cap and most > cap:
            raise ModelError(
                f"a program is cut into {most} steps, but {self._folder} was trained on at most "
                f"{cap}: set rollout.max_steps = {cap}"
            )
