"""Isolation layers: switched off one by one, demanded, described, and without root."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from funprm.errors import ConfigError, ExecutorError
from funprm.executors.inside.isolation import LAYERS
from funprm.executors.local import levels
from funprm.executors.local.executor import LocalExecutor, doctor
from funprm.interfaces import Job
from funprm.records import Suite
from tests.executors.conftest import check, count_processes, functional, stdin, unittests

SOURCE = Path(__file__).parents[2] / "src"

# What still holds without a layer. Each program fails if it gets through; none would do harm.
PROBES = {
    "environment": "import glob\nfor p in glob.glob('/proc/[0-9]*/environ'):\n"
    "    try: assert b'PRECIOUS' not in open(p, 'rb').read(), p\n    except OSError: pass",
    "reading": "try: open('TARGET').read()\nexcept OSError: pass\nelse: raise SystemError",
    "writing": "for m in ('a', 'w'):\n    try: open('TARGET', m)\n    except OSError: continue\n"
    "    raise SystemError",
    "removing": "import os\ntry: os.unlink('TARGET')\nexcept OSError: pass\nelse: raise SystemError",
    "tcp": "import socket\ntry: socket.create_connection(('127.0.0.1', PORT), 1)\n"
    "except OSError: pass\nelse: raise SystemError",
    "signals": "import os\ntry: os.kill(HOST, 0)\nexcept OSError: pass\nelse: raise SystemError",
    "files": "import os\nassert os.listdir('.') == [], os.listdir('.')\nopen('left', 'w').close()",
    "memory": "try: x = bytearray(6 << 30)\nexcept MemoryError: pass\nelse: raise SystemError",
}
NOT_HELD = {
    "limits": {"memory"},  # nothing else bounds the memory of one process
}
SUITES = {
    "stdin": stdin(("1", "2")),
    "functional": functional(("1", "2")),
    "check": check("assert candidate(1) == 2"),
    "unittest": unittests("def test_f(self):\n    self.assertEqual(f(1), 2)"),
}
GOOD = "def f(x):\n    return x + 1\nif __name__ == '__main__':\n    print(f(int(input())))\n"
DAEMON = (
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        time.sleep(1000)\n    os._exit(0)\nos.wait()\ndef f(x):\n    return 2"
)


def passes(executor: LocalExecutor, code: str, suite: Suite) -> bool | None:
    (verdict,) = executor.judge([Job(key="one", code=code, suite=suite)])
    return verdict.passed


@pytest.mark.parametrize("off", LAYERS)
def test_what_holds_without_one_layer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, off: str
) -> None:
    monkeypatch.setenv("SECRET", "PRECIOUS")
    target = tmp_path / "target"
    target.write_text("precious")
    tmp_path.chmod(0o755)
    with LocalExecutor(workers=1, disable=(off,)) as executor, socket.socket() as server:
        for kind, suite in SUITES.items():
            assert passes(executor, GOOD, suite), kind
        assert passes(executor, DAEMON, SUITES["unittest"])
        assert count_processes() == 2  # the worker and its warm parent
        server.bind(("127.0.0.1", 0))
        server.listen()
        words = {"TARGET": str(target), "PORT": str(server.getsockname()[1])}
        through = set()
        for name, code in PROBES.items():
            for word, value in {**words, "HOST": str(os.getpid())}.items():
                code = code.replace(word, value)
            if not passes(executor, code + "\nprint('fine')", stdin(*[("", "fine")] * 2)):
                through.add(name)
        assert through == NOT_HELD.get(off, set())
    assert target.read_text() == "precious"
    assert count_processes() == 0


def test_a_demanded_layer_that_is_missing_is_an_error() -> None:
    with (
        LocalExecutor(1, disable=("landlock",), require_isolation=("landlock",)) as executor,
        pytest.raises(ExecutorError, match=r"landlock.*switched off"),
    ):
        passes(executor, GOOD, SUITES["stdin"])
    with (
        LocalExecutor(1, disable=("network", "seccomp")) as executor,
        pytest.raises(ExecutorError, match="network or seccomp"),
    ):
        passes(executor, GOOD, SUITES["stdin"])
    for off in LAYERS:  # any one layer can be missed
        assert levels.missing((), {off}) == []
    assert levels.missing(("full",), {"ipc"}) == ["ipc"]
    assert "modes" in levels.missing((), {"mount", "seccomp"})[0]
    with LocalExecutor(1, disable=("network", "seccomp"), require_isolation=("none",)) as executor:
        assert passes(executor, GOOD, SUITES["stdin"])


def test_options_are_checked() -> None:
    for options in ({"workers": -1}, {"seconds": -1.0}, {"disable": ("x",)}):
        with pytest.raises(ConfigError):
            LocalExecutor(**options)
    with (
        LocalExecutor(1, python="/nowhere/python") as executor,
        pytest.raises(ExecutorError, match="/nowhere/python"),
    ):
        passes(executor, GOOD, SUITES["stdin"])
    with pytest.raises(ExecutorError, match="/nowhere/python"):
        LocalExecutor(python="/nowhere/python").identity()


def test_layers_are_described() -> None:
    with LocalExecutor(1, disable=("ipc",)) as executor:
        line = executor.describe()
    assert "\n" not in line
    assert "off: ipc (switched off)" in line
    rows = doctor()
    assert [row[0] for row in rows] == list(LAYERS)
    assert all(on or (why and cure) for _, on, why, cure in rows)


UNPRIVILEGED = """
import os, sys
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Case, Suite
suite = Suite(kind="functional", entry_point="f", cases=(Case(input="1", output="2"),))
test = "import unittest\\nclass TestCases(unittest.TestCase):\\n  def test(self): assert f(1) == 2"
others = Suite(kind="unittest", code=test)
for disable in ((), ("user",), ("landlock",)):
    with LocalExecutor(1, disable=disable) as executor:
        for code in ("def f(x): return x + 1", "import os\\nos.fork()\\ndef f(x): return 2",
                     "import os\\nos.kill(-1, 9)\\ndef f(x): return 2"):
            for s in (suite, others):
                (verdict,) = executor.judge([Job(key="k", code=code, suite=s)])
                print(verdict.passed, end=" ")
        print(executor.describe(), flush=True)
"""


def test_it_works_without_root(tmp_path: Path) -> None:
    user = {} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}
    python = sys.executable if os.geteuid() else python_for_all()
    tmp_path.chmod(0o777)
    done = subprocess.run(
        [python, "-c", UNPRIVILEGED],
        env={"PYTHONPATH": str(SOURCE), "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=100,
        **user,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("True True ") for line in lines), lines
    if "off:" not in lines[0]:  # with all layers: a fork is refused, or swept; so is a signal
        assert lines[0].startswith("True True False True"), lines


def python_for_all() -> str:
    """An interpreter that anybody may run."""
    for folder in ("/usr/bin", "/usr/local/bin"):
        found = shutil.which("python3", path=folder)
        if found and subprocess.run([found, "-c", "from enum import StrEnum"]).returncode == 0:
            return found
    pytest.skip("no Python 3.11 outside of root's own folders")
