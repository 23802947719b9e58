"""Worker processes: none outlives its parent, and Ctrl-C is the parent's to answer."""

import os
import signal
import threading
import time

_POLL = 0.5
"""Seconds between looks at the parent."""


def serve_parent(parent: int) -> None:
    """What a worker process calls first.

    Args:
        parent: its process id. Once it is gone, this process ends at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL)
    os._exit(1)
