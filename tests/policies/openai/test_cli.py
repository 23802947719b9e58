"""A policy that cannot answer is one line and exit status 2 on the command line."""

import json
import os
import socket
from pathlib import Path

import pytest

from funprm.cli import main
from funprm.testing.server import RefusalError, Script, serve

KEY = "sk-0123456789abcdef"
RUN = """
output = "{folder}/run"
[dataset]
name = "jsonl"
path = "{folder}/problems.jsonl"
[policy]
name = "openai_api"
model = "{model}"
base_url = "{url}"
api_key_env = "TEST_KEY"
concurrency = 2
[generate]
n = 10
"""
PROBLEM = {"id": "p", "statement": "Do it.", "tests": [{"input": "", "output": ""}]}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)


def generate(folder: Path, url: str, *settings: str, model: str = "tiny") -> int:
    """Exit status of `funprm generate`."""
    (folder / "problems.jsonl").write_text(json.dumps(PROBLEM) + "\n")
    (folder / "run.toml").write_text(RUN.format(folder=folder, url=url, model=model))
    config = str(folder / "run.toml")
    changes = [part for setting in settings for part in ("--set", setting)]
    assert main(["load", config, *changes]) == 0
    return main(["generate", config, *changes])


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error, but for those of stages that ended well."""
    lines = [x for x in capsys.readouterr().err.splitlines() if not x.startswith("load ")]
    assert len(lines) == 1
    assert lines[0].startswith("funprm: ")
    assert KEY not in lines[0]
    return lines[0]


def stored(folder: Path) -> int:
    return len((folder / "run" / "generations.jsonl").read_bytes().splitlines())


def test_wrong_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Script(key="another")) as server:
        assert generate(tmp_path, server.url) == 2
    assert "TEST_KEY holds a key that it refuses" in refused(capsys)


def test_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_KEY")
    with serve(Script(key=KEY)) as server:
        assert generate(tmp_path, server.url) == 2
    assert "TEST_KEY is not set" in refused(capsys)


def test_unknown_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def rule(path: str, body: object) -> None:
        raise RefusalError(404, "no such model", "model_not_found")

    with serve(Script(rule=rule)) as server:
        assert generate(tmp_path, server.url, model="tin") == 2
    assert refused(capsys).endswith("offers no model 'tin': did you mean 'tiny'?")


def test_unreachable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funprm.policies.openai.transport.FIRST_PAUSE", 0.02)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        assert generate(tmp_path, url) == 2
    assert f"no connection to {url}" in refused(capsys)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("policy.base_url=127.0.0.1:9/v1", "expected http"),
        ("policy.timeout=-1", "timeout is -1"),
        ("policy.concurency=3", "did you mean 'concurrency'?"),
        ("policy.concurrency=many", "concurrency = 'many' is not usable"),
    ],
)
def test_wrong_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, message: str
) -> None:
    (tmp_path / "problems.jsonl").write_text(json.dumps(PROBLEM) + "\n")
    text = RUN.format(folder=tmp_path, url="http://127.0.0.1:9/v1", model="tiny")
    (tmp_path / "run.toml").write_text(text)
    assert main(["run", str(tmp_path / "run.toml"), "--set", setting]) == 2
    assert message in refused(capsys)


def test_a_budget_stops_cleanly_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve() as server:  # 15 tokens for each answer
        assert generate(tmp_path, server.url, "policy.budget_tokens=60") == 2
        assert "the budget of 60 tokens is used up" in refused(capsys)
        paid = stored(tmp_path)
        assert 3 <= paid <= 5
        assert generate(tmp_path, server.url) == 0
    assert stored(tmp_path) == 10
    assert server.attempts.total() == 10  # nothing was asked twice


def test_the_key_is_in_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Script(key=KEY)) as server:
        assert generate(tmp_path, server.url) == 0
    out, err = capsys.readouterr()
    assert KEY not in out + err
    files = [Path(at) / name for at, _, names in os.walk(tmp_path) for name in names]
    assert len(files) >= 4
    assert not any(KEY.encode() in file.read_bytes() for file in files)
