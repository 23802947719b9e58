"""The Python that runs programs: its version, and what it can import."""

import hashlib
import subprocess
import sys

from funprm.errors import ExecutorError

FLAGS = ("-s", "-B", "-X", "utf8")
"""Options that workers start it with."""

_PROGRAM = """
import os, sys
print(sys.implementation.name, sys.version.split()[0])
for folder in sys.path:
    if os.path.isdir(folder):
        for name in sorted(os.listdir(folder)):
            if name.endswith((".dist-info", ".egg-info", ".egg")):
                print(name)
"""


def identity_of(python: str) -> tuple[str, str]:
    """Version of an interpreter, and a digest of the packages that it has installed.

    Packages go by name and version: which answers a program gives may depend on them.

    Args:
        python: path of the interpreter; empty: of this one.

    Raises:
        ExecutorError: it cannot be run.
    """
    command = [python or sys.executable, *FLAGS, "-c", _PROGRAM]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=60, cwd="/", env={})
    except (OSError, subprocess.SubprocessError) as error:
        raise ExecutorError(f"cannot run the interpreter {python!r}: {error}") from None
    version, _, packages = done.stdout.partition(b"\n")
    return version.decode(), hashlib.blake2b(packages, digest_size=8).hexdigest()
