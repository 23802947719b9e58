"""Entry point of a worker process: isolate, fork the warm parent, wait for its end.

Started as a script by `local.worker`, with one JSON argument; commands come on descriptor 0 and
replies go to descriptor 1. Standard library only, apart from its neighbours in this folder.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def _supervise(child: int) -> None:
    """Hold no descriptor that matters, and end as the warm parent ends."""
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    _, status = os.waitpid(child, 0)
    os._exit(min(255, abs(os.waitstatus_to_exitcode(status))))


def _start(config: dict[str, Any]) -> Callable[[], None]:
    """Isolate this process; returns only in the children that run a program."""
    from funprm.executors.inside import isolation, program, syscalls, zygote

    if config["parent"]:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != config["parent"]:
            os._exit(1)
    program.warm()
    layers = isolation.Isolation(config["disable"], config["scratch"], config["scratch_mb"])
    layers.enter()
    child = os.fork()
    if child:
        _supervise(child)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    layers.confine()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in [n for n in sys.modules if n.partition(".")[0] == "funprm"]:
        del sys.modules[name]  # programs shall not find us; the objects live on
    return functools.partial(program.run, zygote.serve(layers))


def main() -> None:
    """Run one worker until its command stream ends."""
    here = os.path.dirname(os.path.abspath(__file__))
    source = os.path.dirname(os.path.dirname(os.path.dirname(here)))
    sys.path[:] = [source, *(p for p in sys.path if p != here)]
    _start(json.loads(sys.argv[1]))()


if __name__ == "__main__":
    main()
