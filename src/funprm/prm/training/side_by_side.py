"""Several reward models of one run: warm-ups shared, and one process per model on a CPU.

A small model keeps one core busy and no more: two of them side by side train in the time of one.
On a GPU, or for a single model, training stays in this process.
"""

import multiprocessing
import os
import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from funprm.config import TrainConfig
from funprm.errors import FunprmError, TrainingError
from funprm.prm.distributed import current
from funprm.prm.folder import warmup_of
from funprm.prm.training.data import TrainingData
from funprm.prm.training.identity import shares_warmup
from funprm.prm.training.job import Report, TrainResult
from funprm.prm.training.loop import train
from funprm.prm.training.metrics_log import summary_writer
from funprm.processes import serve_parent

_POLL = 0.5
"""Seconds between looks at workers that may have died."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One model to train."""

    name: str
    config: TrainConfig
    folder: Path
    init: str = ""
    """Name of the task whose warm-up is shared; it is trained first."""


def train_all(
    configs: Mapping[str, TrainConfig],
    data: TrainingData,
    folder: Path,
    report: Report,
) -> dict[str, TrainResult]:
    """Trains every model into `folder / name`; resumes and repeats nothing, as `train` does.

    Args:
        configs: settings by name.
        data: labelled programs, the same for all.
        folder: of all models.
        report: called with the progress of all models.

    Raises:
        ConfigError: a package that a setting needs is missing.
        FunprmError: what the training of a model raised; the others are ended, and resume.
    """
    if any(config.tensorboard for config in configs.values()):
        summary_writer()
    tasks = _longest_first(_plan(configs, folder))
    together = min(len(tasks), _processes(configs))
    if together > 1:
        found = _Workers(tasks, data, report, together).run()
    else:
        found = {task.name: _train(task, data, report) for task in tasks}
    return {name: found[name] for name in configs}


def _plan(configs: Mapping[str, TrainConfig], folder: Path) -> list[Task]:
    """Tasks; of those with the same warm-up the first one makes it for the others."""
    tasks: list[Task] = []
    for name, config in configs.items():
        leaders = [t for t in tasks if not t.init and shares_warmup(t.config, config)]
        init = leaders[0].name if leaders else ""
        tasks.append(Task(name=name, config=config, folder=folder / name, init=init))
    return tasks


def _longest_first(tasks: list[Task]) -> list[Task]:
    """Those with most work ahead of them first: their own, and that of what waits for them.

    A correction and the pairwise loss cost about as much again as a plain model.
    """

    def work(task: Task) -> int:
        return 1 + task.config.corrects + (task.config.pairwise > 0)

    ahead = {
        task.name: work(task) + max((work(t) for t in tasks if t.init == task.name), default=0)
        for task in tasks
    }
    return sorted(tasks, key=lambda task: -ahead[task.name])


def _processes(configs: Mapping[str, TrainConfig]) -> int:
    """How many models are trained side by side; one where several processes train it."""
    if current().size > 1:
        return 1
    on_cpu = all(c.device == "cpu" for c in configs.values()) or not torch.cuda.is_available()
    return len(os.sched_getaffinity(0)) if on_cpu else 1


def _train(task: Task, data: TrainingData, report: Report) -> TrainResult:
    init = task.folder.parent / task.init if task.init else None
    if init is not None and not warmup_of(init).exists():
        init = None  # somebody has deleted it: the model makes its own
    return train(task.config, data, task.folder, report=report, init=init)


class _Workers:
    """Processes that train, at most `together` at a time."""

    def __init__(
        self, tasks: list[Task], data: TrainingData, report: Report, together: int
    ) -> None:
        self._waiting, self._data, self._report, self._together = tasks, data, report, together
        self._context = multiprocessing.get_context("spawn")
        self._events: multiprocessing.Queue[tuple[str, Any]] = self._context.Queue()
        self._running: dict[str, BaseProcess] = {}
        self._found: dict[str, TrainResult] = {}

    def run(self) -> dict[str, TrainResult]:
        """Results by name."""
        try:
            while self._waiting or self._running:
                self._start()
                self._receive()
        finally:
            for process in self._running.values():
                process.terminate()
                process.join()
        return self._found

    def _start(self) -> None:
        while len(self._running) < self._together:
            ready = (t for t in self._waiting if not t.init or t.init in self._found)
            task = next(ready, None)
            if task is None:
                return
            self._waiting.remove(task)
            process = self._context.Process(
                target=_work, args=(task, self._data, self._events, os.getpid()), daemon=True
            )
            process.start()
            self._running[task.name] = process

    def _receive(self) -> None:
        try:
            name, event = self._events.get(timeout=_POLL)
        except queue.Empty:
            self._look_for_the_dead()
            return
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, TrainResult):
            self._found[name] = event
            self._running.pop(name).join()
        else:
            self._report(event)

    def _look_for_the_dead(self) -> None:
        for name, process in self._running.items():
            if process.exitcode:
                raise TrainingError(
                    f"training of {name!r} ended with exit code {process.exitcode} (killed, or out "
                    "of memory): run the same command again; it goes on from its checkpoint"
                )


def _work(
    task: Task, data: TrainingData, events: "multiprocessing.Queue[tuple[str, Any]]", parent: int
) -> None:
    """A worker process: one core, and no life after its parent's."""
    serve_parent(parent)
    torch.set_num_threads(1)
    send: Callable[[Any], None] = lambda event: events.put((task.name, event))  # noqa: E731
    try:
        send(_train(task, data, send))
    except FunprmError as error:
        send(error)
