"""Entry point of a worker: isolate, fork the zygote, watch.

Started as a script by `local.worker`, with one JSON argument; descriptor 0 is a socket to the host.
The first process becomes the watcher, outside of the sandbox's process namespace. Its child, the
zygote, is process 1 of the sandbox; it is made before anything of any program has come.
Standard library only, apart from its neighbours in this folder.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any


def _start(config: dict[str, Any]) -> Callable[[], None]:
    """Isolate this process; returns only in the children that run a program."""
    from funprm.executors.inside import (
        cgroup,
        isolation,
        program,
        rehearsal,
        syscalls,
        watcher,
        zygote,
    )
    from funprm.executors.inside.usage import Processes

    if config["parent"]:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != config["parent"]:
            os._exit(1)
    program.warm()
    layers = isolation.Isolation(config["disable"], config["scratch"], config["scratch_mb"])
    group = cgroup.Group()
    layers.enter()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child:
        theirs.close()
        group.adopt(child)
        watcher.watch(socket.socket(fileno=0), ours, Processes(child, group), layers)
        os._exit(0)
    ours.close()
    zygote.take(theirs)
    rehearsal.rehearse()
    if "pid" not in layers.off:  # then all that it runs ends with it
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    layers.confine()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ours_too = [n for n in sys.modules if n.partition(".")[0] == "funprm"]
    hidden = list(map(sys.modules.pop, ours_too))  # programs shall not find us
    return zygote.serve(layers, (hidden, group, ours, theirs, config))


def main() -> None:
    """Run one worker until its host is gone."""
    here = os.path.dirname(os.path.abspath(__file__))
    source = os.path.dirname(os.path.dirname(os.path.dirname(here)))
    sys.path[:] = [source, *(p for p in sys.path if p != here)]
    _start(json.loads(sys.argv[1]))()


if __name__ == "__main__":
    main()
