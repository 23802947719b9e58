"""Every attack in `attacks/` fails, with all layers, without each one, as root and not."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from funprm.executors.inside.isolation import LAYERS
from tests.executors import attack_files
from tests.executors.conftest import count_processes
from tests.executors.test_layers import SOURCE, python_for_all


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, as sockets need it, that anybody may enter."""
    with tempfile.TemporaryDirectory(prefix="funprm-", dir="/tmp") as path:
        Path(path).chmod(0o777)
        yield Path(path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_attack_gets_through(folder: Path) -> None:
    before = count_processes()
    with attack_files.decoys(folder) as words:
        assert attack_files.through(words) == {}
    assert count_processes() == before


QUICK = frozenset(
    "endless_refork forged_answers forged_program huge_times inherited_files many_answers metadata"
    " name_no_text null_device owner_of_signals real_time_signal scratch_marks scratch_mode signals"
    " steal_from_memory unix_path".split()
)


def test_quick_attacks_do_not_get_through(folder: Path) -> None:
    skip = frozenset(a.name for a in attack_files.attacks()) - QUICK
    with attack_files.decoys(folder) as words:
        assert attack_files.through(words, skip) == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("off", LAYERS)
def test_what_gets_through_without_a_layer_is_written_down(folder: Path, off: str) -> None:
    row = next(r for r in attack_files.DOCS.read_text().splitlines() if r.startswith(f"| {off} |"))
    with attack_files.decoys(folder) as words:
        skip = frozenset(attack_files.NOT_TRIED.get(off, ()))
        found = attack_files.through(words, skip, disable=(off,))
    assert {name for name in found if f"`{name}`" not in row.split("|")[3]} == set(), found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_attack_gets_through_without_root(folder: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom tests.executors import attack_files\n"
        "with attack_files.decoys(Path(sys.argv[1])) as words:\n"
        "    print(attack_files.through(words))"
    )
    done = subprocess.run(
        [sys.executable if os.geteuid() else python_for_all(), "-c", program, str(folder)],
        env={
            "PYTHONPATH": f"{SOURCE}:{SOURCE.parent}:{os.pathsep.join(sys.path)}",
            "TMPDIR": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd="/",
        capture_output=True,
        text=True,
        **({} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}),  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{}"
