"""Samples rows with llama.cpp, as many at once as it is told; `sampling.py` runs it.

Runs in an environment of its own that has `llama-cpp-python`, which need not have this package.
Reads one JSON object from standard input (`model`, `rows`, `slots`, `temperature`, `top_p`, `stop`,
`threads`; a row has `prompt`, `limit` and `seed`), and prints one: tokens and CPU seconds, without
the loading. Rows that end make room for waiting ones, and equal prompts are encoded once, as on
the other side.
"""

import json
import sys
import time
from typing import Any

import llama_cpp as llama  # type: ignore[import-not-found]

Handle = Any
"""What the library hands out: an address."""

GREATEST = 2048
"""Tokens of one call, at most."""


class Batch:
    """What is decoded by one call.

    Args:
        size: most tokens.
    """

    def __init__(self, size: int) -> None:
        self.inner = llama.llama_batch_init(size, 0, 1)

    def add(self, token: int, position: int, sequence: int, *, wanted: bool) -> None:
        """One token more; `wanted`: what follows it is drawn."""
        at = self.inner.n_tokens
        self.inner.token[at], self.inner.pos[at] = token, position
        self.inner.n_seq_id[at], self.inner.seq_id[at][0] = 1, sequence
        self.inner.logits[at] = wanted
        self.inner.n_tokens = at + 1

    def run(self, context: Handle) -> None:
        """Decodes and empties it."""
        if self.inner.n_tokens and llama.llama_decode(context, self.inner):
            raise RuntimeError("llama_decode failed")
        self.inner.n_tokens = 0


def open_context(task: dict[str, Any]) -> Handle:
    """A context with a sequence per slot, and one for the prompt."""
    settings = llama.llama_context_default_params()
    longest = max(len(row["prompt"]) + row["limit"] for row in task["rows"])
    settings.n_seq_max = task["slots"] + 1
    settings.n_ctx = settings.n_seq_max * (longest + 256 - longest % 256)
    settings.n_batch = GREATEST
    settings.n_threads = settings.n_threads_batch = task["threads"]
    files = llama.llama_model_default_params()
    # Its AMX kernels, which these are on some processors, end in a segmentation fault.
    files.use_extra_bufts = False
    model = llama.llama_model_load_from_file(task["model"].encode(), files)
    return llama.llama_init_from_model(model, settings)


def sampler_of(task: dict[str, Any], seed: int) -> Handle:
    """A row's own chain."""
    chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    if task["top_p"] < 1:
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_top_p(task["top_p"], 1))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_temp(task["temperature"]))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_dist(seed & 0xFFFFFFFF))
    return chain


class Stage:
    """All rows of a task, drawn as there are slots.

    Args:
        context: with a sequence per slot, and one for the prompt that is encoded.
        task: what is drawn.
    """

    def __init__(self, context: Handle, task: dict[str, Any]) -> None:
        self._context, self._task = context, task
        self._memory, self._batch = llama.llama_get_memory(context), Batch(GREATEST)
        self._waiting: list[dict[str, Any]] = list(reversed(task["rows"]))
        self._running: dict[int, dict[str, Any]] = {}
        self._encoded: list[int] = []

    def run(self) -> int:
        """Draws all rows; returns the number of their tokens."""
        total = 0
        while self._waiting or self._running:
            for slot in range(self._task["slots"]):
                if slot not in self._running and self._waiting:
                    self._start(slot, self._waiting.pop())
            places = list(self._running)
            for slot in places:
                row = self._running[slot]
                position = len(row["prompt"]) - 1 + row["count"]
                self._batch.add(row["last"], position, slot, wanted=True)
            self._batch.run(self._context)
            for index, slot in enumerate(places):
                self._draw(index, slot)
            total += len(places)
        return total

    def _start(self, slot: int, row: dict[str, Any]) -> None:
        store = self._task["slots"]
        if row["prompt"] != self._encoded:
            self._encoded = row["prompt"]
            llama.llama_memory_seq_rm(self._memory, store, -1, -1)
            for position, token in enumerate(self._encoded[:-1]):
                self._batch.add(token, position, store, wanted=False)
            self._batch.run(self._context)
        llama.llama_memory_seq_cp(self._memory, store, slot, -1, -1)
        row |= {"last": self._encoded[-1], "count": 0}
        row["sampler"] = sampler_of(self._task, row["seed"])
        self._running[slot] = row

    def _draw(self, index: int, slot: int) -> None:
        row = self._running[slot]
        row["last"] = llama.llama_sampler_sample(row["sampler"], self._context, index)
        row["count"] += 1
        if row["last"] in self._task["stop"] or row["count"] == row["limit"]:
            llama.llama_sampler_free(row["sampler"])
            llama.llama_memory_seq_rm(self._memory, slot, -1, -1)
            del self._running[slot]


def main() -> None:
    """Reads the task, draws, prints."""
    task = json.load(sys.stdin)
    llama.llama_backend_init()
    context = open_context(task)
    start = time.process_time()
    tokens = Stage(context, task).run()
    json.dump({"tokens": tokens, "seconds": time.process_time() - start}, sys.stdout)


if __name__ == "__main__":
    main()
