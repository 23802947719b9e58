"""What an interpreter is known by, and settings as a run's file gives them."""

import sys
import tempfile
import venv
from pathlib import Path

import pytest

from funprm import registry
from funprm.errors import ExecutorError
from funprm.executors.local.executor import LocalExecutor
from funprm.executors.local.interpreter import identity_of
from funprm.interfaces import Job
from funprm.records import Case, Status, Suite


def test_installed_packages_are_part_of_it(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    before = identity_of(str(python))
    assert before[0] == f"{sys.implementation.name} {sys.version.split()[0]}"
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "thing-1.0.dist-info").mkdir()
    after = identity_of(str(python))
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_packages_that_are_installed_between_two_runs_of_a_process_are_seen(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = str(tmp_path / "env" / "bin" / "python")
    first = LocalExecutor(1, python=python)
    before = first.identity()
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "thing-1.0.dist-info").mkdir()
    assert first.identity() == before  # within a run nothing changes
    assert LocalExecutor(1, python=python).identity() != before


@pytest.mark.parametrize("link", [False, True])
def test_packages_of_an_interpreter_below_tmp_are_there(link: bool) -> None:
    """Programs have a /tmp of their own; the interpreter's folder shows in it."""
    with tempfile.TemporaryDirectory(prefix="funprm-", dir="/tmp") as folder:
        venv.create(Path(folder) / "env", with_pip=False)
        (site,) = Path(folder).glob("env/lib/python*/site-packages")
        (site / "thing.py").write_text("x = 5\n")
        (Path(folder) / "link").symlink_to("env")
        python = Path(folder) / ("link" if link else "env") / "bin" / "python"
        suite = Suite(kind="stdin", cases=(Case(input="", output="5"),))
        with LocalExecutor(1, python=str(python)) as executor:
            job = Job(key="k", code="import thing\nprint(thing.x)\n", suite=suite)
            (verdict,) = executor.judge([job])
    assert verdict.status == Status.PASSED, verdict


def test_what_is_no_interpreter_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="cannot run the interpreter"):
        identity_of(str(tmp_path / "nothing"))


def test_verdicts_without_limits_are_other_ones() -> None:
    usual = LocalExecutor(1).identity()
    assert LocalExecutor(2, disable=("ipc",)).identity() == usual
    assert LocalExecutor(1, disable=("ipc", "limits")).identity() == {**usual, "limits": False}


def test_lists_of_a_configuration_are_taken() -> None:
    options = {"require_isolation": ["none"], "disable": ["ipc"], "workers": 1}
    registry.build("executors", "local", options).close()
