"""Seeds side by side: one process each, so that two cores are busy and no more."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from funprm.errors import FunprmError, TrainingError
from funprm.processes import serve_parent

POLL = 0.5
"""Seconds between looks at results."""

Work = Callable[[Any, int], None]
"""A function at the top of a module: settings and seed to stored results."""


def each_seed(
    work: Work,
    settings: Any,  # noqa: ANN401
    seeds: list[int],
    together: int,
    look: Callable[[], None],
) -> None:
    """Calls `work(settings, seed)` for all seeds, `together` at a time.

    Args:
        work: stores its results itself; repeats nothing that is stored.
        settings: pickled for the processes.
        seeds: one call each.
        together: processes at most; 1: in this process.
        look: called now and then, to show progress.

    Raises:
        FunprmError: what a call raised; the others are ended, and continue when called again.
    """
    if together == 1:
        for seed in seeds:
            work(settings, seed)
            look()
        return
    running: dict[int, tuple[BaseProcess, Connection]] = {}
    context = multiprocessing.get_context("spawn")
    try:
        while seeds or running:
            while seeds and len(running) < together:
                seed = seeds.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(
                    target=_call, args=(work, settings, seed, theirs, os.getpid()), daemon=True
                )
                process.start()
                theirs.close()
                running[seed] = process, ours
            wait([process.sentinel for process, _ in running.values()], timeout=POLL)
            look()
            for seed in [s for s, (process, _) in running.items() if process.exitcode is not None]:
                _finish(seed, *running.pop(seed))
    finally:
        for worker, _ in running.values():
            worker.terminate()
            worker.join()


def _finish(seed: int, process: BaseProcess, results: Connection) -> None:
    process.join()
    with contextlib.suppress(EOFError):  # what a process that has nothing to say leaves
        error: FunprmError = results.recv()
        raise error
    if process.exitcode:
        raise TrainingError(
            f"seed {seed} ended with exit code {process.exitcode} (killed, or out of memory): "
            "run the same command again; it goes on from what is stored"
        )


def _call(work: Work, settings: Any, seed: int, results: Connection, parent: int) -> None:  # noqa: ANN401
    """A worker process: no life after its parent's, interrupted by it alone."""
    serve_parent(parent)
    try:
        work(settings, seed)
    except FunprmError as error:
        results.send(error)
