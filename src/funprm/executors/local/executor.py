"""Judging on this machine: isolated worker processes, one fork per program."""

import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from types import TracebackType
from typing import ClassVar, Self

from funprm.errors import ConfigError, ExecutorError
from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.inside.isolation import LAYERS
from funprm.executors.local import levels, scratch
from funprm.executors.local.dispatch import Dispatch
from funprm.executors.local.interpreter import identity_of
from funprm.executors.local.pool import Pool
from funprm.executors.local.worker import Worker
from funprm.interfaces import Job
from funprm.records import Json, Suite, Verdict

RULES = 5
"""Version of everything that determines verdicts, part of their keys.

Raise it with every change after which some program could get another verdict from the same suite:
comparison, namespaces, limits and how time is counted, what ends a suite, what the sandbox lets
programs see or do. Stored verdicts of other versions are then judged again."""
_KNOWN_SUITES = 256
_KNOWN_CHARACTERS = 128 << 20
"""Suites that are kept ready: so many, and of so many characters together, but at least one."""


class LocalExecutor:
    """Judges untrusted programs in isolated processes on this machine.

    Workers start with the first job and live until `close`. See docs/judging.md for the rules
    and for what the isolation does and does not cover.
    """

    transport: ClassVar[frozenset[str]] = frozenset(
        {"workers", "require_isolation", "disable", "python"}
    )
    """Of an interpreter its version and packages count, not where it lies; of the layers whether
    there are `limits`."""

    def __init__(
        self,
        workers: int = 0,
        compat: bool = False,
        require_isolation: tuple[str, ...] = (),
        python: str = "",
        seconds: float = 0,
        disable: tuple[str, ...] = (),
    ) -> None:
        """Settle the options; nothing is started yet.

        Args:
            workers: number of worker processes; 0: one per core that this process may use.
            compat: follow LiveCodeBench's official checker also where it is known to be wrong
                (one object for all cases, nested tuples are no lists, no tests is a pass).
            require_isolation: layers (see `isolation.LAYERS`) without which to refuse; empty:
                those that keep the standard promises (see `levels`); `("full",)`: all;
                `("none",)`: run even without any.
            python: interpreter for the programs; empty: the one that runs this.
            seconds: CPU limit that replaces the suites' own; 0: theirs.
            disable: layers to leave out.

        Raises:
            ConfigError: an option is out of range or names an unknown layer.
        """
        if workers < 0 or seconds < 0:
            raise ConfigError(f"workers and seconds must be 0 or more, got {workers}, {seconds}")
        for name in (*require_isolation, *disable):
            if name not in (*LAYERS, levels.FULL, levels.NONE):
                raise ConfigError(f"no isolation layer {name!r}; there are {', '.join(LAYERS)}")
        self._count = workers or len(os.sched_getaffinity(0))
        self._compat = compat
        self._required = tuple(require_isolation)
        self._python = python
        self._seconds = float(seconds)
        self._disable = tuple(disable)
        self._pool = Pool(lambda: Worker(self._python, self._disable), self._check_layers)
        self._suites: dict[Suite, tuple[int, PreparedSuite]] = {}
        self._weight = 0
        self._recent: tuple[Suite | None, tuple[int, PreparedSuite] | None] = (None, None)
        self._suite_numbers = itertools.count()
        self._numbers = itertools.count()
        self._judging = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def identity(self) -> Mapping[str, Json]:
        """The rules, and what else determines verdicts."""
        version, packages = self._interpreter
        unlimited = {"limits": False} if "limits" in self._disable else {}
        return {
            "judge": RULES,
            "compat": self._compat,
            "seconds": self._seconds,
            "python": version,
            "packages": packages,
            **unlimited,
        }

    @cached_property
    def _interpreter(self) -> tuple[str, str]:
        """Asked once by each executor: packages may be installed while a process goes on."""
        return identity_of(self._python)

    def describe(self) -> str:
        """One line that says which protections are on."""
        off = self._layers_off()
        on = [name for name in LAYERS if name not in off]
        return f"isolation: {', '.join(on) or 'none'}" + (
            f"; off: {', '.join(f'{k} ({v})' for k, v in off.items())}" if off else ""
        )

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """One verdict per job, as they come.

        Jobs are read only as fast as they are judged. A job that cannot be judged gets a verdict
        with status `not judged` and a detail; the rest goes on.

        Raises:
            ExecutorError: the workers cannot be started, a demanded layer is missing, or
                another `judge` of this executor is not finished.
        """
        if not self._judging.acquire(blocking=False):
            raise ExecutorError("this executor is judging already; use a second one")
        done = False
        try:
            self._start()
            run = Dispatch(jobs, self._prepare, self._pool, self._numbers)
            yield from run.verdicts()
            done = True
        finally:
            if not done:  # abandoned half-way: what still runs is of no use
                self._pool.close()
            self._judging.release()

    def close(self) -> None:
        """End all worker processes."""
        self._pool.close()

    @property
    def _workers(self) -> list[Worker]:
        return self._pool.workers

    def _start(self) -> None:
        if not self._workers:
            scratch.sweep()
        try:
            self._pool.fill(self._count)
        except BaseException:
            self._pool.close()
            raise

    def _check_layers(self, off: dict[str, str]) -> None:
        missing = levels.missing(self._required, off)
        if missing:
            why = "; ".join(f"{k}: {v}" for k, v in off.items())
            raise ExecutorError(
                f"isolation demanded but missing: {', '.join(missing)} ({why}); see"
                ' docs/judging.md, or set require_isolation = ["none"] to run without'
            )

    def _layers_off(self) -> dict[str, str]:
        if self._workers and self._workers[0].layers_off is not None:
            return self._workers[0].layers_off
        return probe(self._python, self._disable)

    def _prepare(self, job: Job) -> tuple[int, PreparedSuite]:
        if job.suite is self._recent[0]:
            assert self._recent[1] is not None
            return self._recent[1]
        known = self._suites.pop(job.suite, None)
        if known is None:
            prepared = PreparedSuite(job.suite.unpacked(), self._seconds, self._compat)
            known = next(self._suite_numbers), prepared
            self._weight += known[1].weight
        self._suites[job.suite] = known
        while len(self._suites) > 1 and self._is_much():
            oldest = self._suites.pop(next(iter(self._suites)))
            self._weight -= oldest[1].weight
        self._recent = job.suite, known
        return known

    def _is_much(self) -> bool:
        return len(self._suites) > _KNOWN_SUITES or self._weight > _KNOWN_CHARACTERS


def probe(python: str = "", disable: tuple[str, ...] = ()) -> dict[str, str]:
    """Isolation layers that are off here, with the reason, as a worker finds them.

    Raises:
        ExecutorError: a worker cannot be started.
    """
    return _probed(python, disable)[0]


def _probed(python: str, disable: tuple[str, ...]) -> tuple[dict[str, str], bool]:
    """Layers that are off, and whether there is a control group."""
    with LocalExecutor(1, python=python, disable=disable, require_isolation=("none",)) as executor:
        executor._start()
        worker = executor._workers[0]
        return dict(worker.layers_off or {}), worker.has_group


def doctor(python: str = "") -> list[tuple[str, bool, str, str]]:
    """Rows for people: layer, on or off, why it is off and what keeps its limits, how to get it.

    Raises:
        ExecutorError: a worker cannot be started.
    """
    off, group = _probed(python, ())
    kept = levels.holds(off, group=group)
    return [
        (
            name,
            name not in off,
            "; ".join(filter(None, (off.get(name, ""), kept.get(name, "")))),
            levels.CURES[name] if name in off else "",
        )
        for name in LAYERS
    ]
