"""`funprm train` in two processes, as a launcher starts it."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from funprm.cli import main
from funprm.config import parse_config
from funprm.errors import ConfigError
from funprm.pipeline.stages import STAGES, train_together
from tests.pipeline.conftest import Quiet

MODELS = {
    "prm": {"clean_outcomes": False, "correction": "none"},
    "joint": {"correction": "none"},
}
"""The second one takes the first one's warm-up."""
TRAIN = {"tuning": "frozen", "batch": 2, "epochs": 2.0, "warmup_epochs": 1.0, "device": "cpu"}


def test_other_verbs_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, who in (("0", "funprm: "), ("1", "funprm (process 1): ")):
        monkeypatch.setenv("RANK", rank)
        assert main(["run", "absent.toml"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(who + "`funprm run` in 2 processes")
        assert "launch `funprm train` alone" in line


def test_processes_that_do_not_find_each_other(
    replayed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="launch by torchrun or accelerate, or unset it"):
        train_together(parse_config(replayed), Quiet(), first=True)


def toml(settings: dict[str, Any]) -> str:
    """Tables one level deep, as TOML; a JSON string, number or list is one, too."""
    plain = [f"{k} = {json.dumps(v)}" for k, v in settings.items() if not isinstance(v, dict)]
    tables = [
        "\n".join([f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())])
        for name, table in settings.items()
        if isinstance(table, dict)
    ]
    return "\n".join([*plain, *tables]) + "\n"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_leave_what_one_does(replayed: dict[str, Any], tmp_path: Path) -> None:
    models = {f"models.{name}": model for name, model in MODELS.items()}
    settings = {**replayed, "train": TRAIN, **models}
    config = tmp_path / "run.toml"
    config.write_text(toml(settings))
    for stage in list(STAGES)[: list(STAGES).index("train")]:
        assert main([stage, str(config)]) == 0
    one, two = Path(replayed["output"]), tmp_path / "two"
    shutil.copytree(one, two)
    assert main(["train", str(config)]) == 0
    launched(config, two)
    assert (two / "manifest.json").exists()
    for name in MODELS:
        first, second = (folder / "prm" / name for folder in (one, two))
        heads = (load_file(f / "model" / "head.safetensors") for f in (first, second))
        torch.testing.assert_close(*heads, rtol=0, atol=1e-5)
        results = (json.loads((f / "result.json").read_text()) for f in (first, second))
        assert_close(*(r["validation"] for r in results))
    assert main(["score", str(config), "--output", str(two)]) == 0


def launched(config: Path, output: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-addr", "127.0.0.1", "--master-port", str(port)),
        *("-m", "funprm", "train", str(config), "--output", str(output)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stderr.splitlines() if "models: prm, joint" in line]
    assert len(shown) == 1, done.stderr


def assert_close(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left["criterion"] == right["criterion"]
    assert left["brier"] == pytest.approx(right["brier"], abs=1e-5)
