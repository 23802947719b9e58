"""Servers of others as processes."""

import subprocess
import time
import urllib.request
from pathlib import Path

import pytest


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path, seconds: float) -> None:
    """Returns once a server answers; else the test fails, with the end of its log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")
