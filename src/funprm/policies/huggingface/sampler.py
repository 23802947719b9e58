"""Sampling from a causal language model with a key-value cache, in a batch that stays full.

Every row draws its tokens from its own stream of uniforms, so what a row writes does not depend
on the rows beside it but for the last bits of matrix products. (In 32 bits these hardly ever
matter; in 16 bits they are the logits' third digit, and now and then decide a token.) A row that
ended makes room for the next one that waits. Equal prompts are encoded once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from transformers import PreTrainedModel

from funprm.errors import PolicyError
from funprm.language_models import fitting_threads
from funprm.policies.huggingface.flight import Flight
from funprm.policies.huggingface.rows import Continuation, Row, Rule, Waiting


class Sampler:
    """Draws continuations from one model."""

    def __init__(self, model: PreTrainedModel, rule: Rule) -> None:
        self._model = model
        self._rule = rule

    def draw(self, rows: Sequence[Row]) -> list[Continuation]:
        """One continuation per row, in order, all drawn together; errors as of `stream`."""
        found = dict(self.stream(rows, max(1, len(rows))))
        return [found[number] for number in range(len(rows))]

    def stream(
        self, rows: Iterable[Row], slots: int, heard: Callable[[int, int], None] | None = None
    ) -> Iterator[tuple[int, Continuation]]:
        """Continuations with their rows' numbers, as they end.

        Args:
            rows: taken as there is room. Those with equal prompts should come together, and
                neighbours be of like length.
            slots: how many are drawn together; halved where the memory does not suffice.
            heard: is told after each step how many tokens were drawn, and how many the rows
                hold that are still being drawn.

        Raises:
            ModelError: the model's output is not a number.
            PolicyError: the memory does not hold a single row.
        """
        waiting = Waiting(rows)
        while waiting.ahead(1):
            flight = Flight(self._model, self._rule, waiting, slots)
            try:
                while flight.goes_on():
                    # Not around the yield: what is done there has threads of its own.
                    with fitting_threads(self._model):
                        ended = flight.step()
                    if heard is not None:
                        heard(flight.drawn, flight.held())
                    yield from ended
            except torch.OutOfMemoryError as error:
                again = flight.rows()
                _require_several(again or waiting.ahead(slots), error)
                waiting.put_back(again)
                slots = max(1, (len(again) or slots) // 2)
            del flight
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _require_several(rows: Sequence[tuple[int, Row]], error: BaseException) -> None:
    if len(rows) > 1:
        return
    row = rows[0][1]
    raise PolicyError(
        f"out of memory with one row of {len(row.prompt)} prompt tokens and up to "
        f"{row.limit} new ones: lower max_tokens, or use a smaller model"
    ) from error
