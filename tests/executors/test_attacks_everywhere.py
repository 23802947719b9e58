"""The attacks again, with each layer switched off in turn and without root (slow)."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from funprm.executors.inside.isolation import LAYERS
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Verdict
from tests.executors.conftest import count_processes, stdin
from tests.executors.test_attacks import FAILING, HANGING, LEAVING, SUITES
from tests.executors.test_layers import SOURCE, python_for_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NOT_HELD = {
    "mount": {
        "leaving: files",  # asks for /dev/shm, which is not there then
        "leaving: many",  # nothing bounds the number of files: it runs until its time is over
    }
}
"""Attacks that get through, or programs that do not pass, without a layer (docs/judging.md)."""
UNSAFE = {"limits": {"hanging: slow allocation"}}
"""Not tried without a layer, since nothing else protects the machine that runs the tests."""


def attacks() -> list[Job]:
    """Programs whose name says whether they must fail or, leaving nothing, pass."""
    jobs = [
        Job(key=f"failing: {name}, {kind}", code=code, suite=SUITES[kind])
        for name, code in FAILING.items()
        for kind in ("functional", "check")
    ]
    limits = stdin(("", "1"), seconds=0.3, memory_mb=256)
    jobs += [
        Job(key=f"hanging: {name}", code=code, suite=limits) for name, (code, _) in HANGING.items()
    ]
    four = stdin(*[("", "fine")] * 4, seconds=5.0)
    jobs += [
        Job(key=f"leaving: {name}", code=f"{code}\nprint('fine')", suite=four)
        for name, code in LEAVING.items()
    ]
    return jobs


def unexpected(verdicts: list[Verdict]) -> dict[str, str]:
    """Attacks that got through, with their verdicts."""
    return {
        v.key: f"{v.status}: {v.detail}"
        for v in verdicts
        if v.passed is not v.key.startswith("leaving")
    }


@pytest.mark.parametrize("off", ["", *LAYERS])
def test_attacks_without_one_layer(off: str) -> None:
    before = count_processes()
    with LocalExecutor(workers=1, disable=(off,) if off else ()) as executor:
        jobs = [job for job in attacks() if job.key not in UNSAFE.get(off, set())]
        through = unexpected(list(executor.judge(jobs)))
    assert through.keys() <= NOT_HELD.get(off, set()), through
    assert count_processes() == before


JUDGE = """
import pickle, sys
from funprm.executors.local.executor import LocalExecutor
with LocalExecutor(1) as executor:
    pickle.dump(list(executor.judge(pickle.load(sys.stdin.buffer))), sys.stdout.buffer)
"""


def test_attacks_without_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    done = subprocess.run(
        [sys.executable if os.geteuid() else python_for_all(), "-c", JUDGE],
        input=pickle.dumps(attacks()),
        env={"PYTHONPATH": str(SOURCE), "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        timeout=1000,
        **({} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}),  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    assert unexpected(pickle.loads(done.stdout)) == {}
