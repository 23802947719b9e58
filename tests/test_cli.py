import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from funprm import store
from funprm.cli import main
from funprm.disk import disk_errors

RUN = """
output = "{folder}/run"
[dataset]
name = "jsonl"
path = "{folder}/problems.jsonl"
[policy]
name = "replay"
path = "{folder}/programs.jsonl"
[generate]
n = 1
[rollout]
k = 0
[select]
bootstrap = 100
"""
PROBLEM = {
    "id": "double",
    "statement": "Double the number.",
    "entry_point": "f",
    "tests": [{"input": [2], "output": 4}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(RUN.format(folder=tmp_path))
    (tmp_path / "problems.jsonl").write_text(json.dumps(PROBLEM) + "\n")
    program = {"problem_id": "double", "code": "def f(x):\n    return 2 * x\n"}
    (tmp_path / "programs.jsonl").write_text(json.dumps(program) + "\n")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which a command is refused."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    last = lines[-1]
    assert last.startswith("funprm: ")
    return last


def test_problems_and_programs_of_ones_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(folder / "run.toml"), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)["table"]
    assert {row["selector"]: row["solved"] for row in table}["oracle"] == 1


def test_problems_without_recorded_programs_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [PROBLEM, {**PROBLEM, "id": "other"}, {**PROBLEM, "id": "third"}]
    (folder / "problems.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for verb in ("load", "generate"):
        assert main([verb, str(folder / "run.toml"), "--set", "generate.n=2"]) == 0
    said = capsys.readouterr().err
    assert "2 problems without a program (other, third)" in said
    assert "1 program of other problems is missing" in said


def test_an_unknown_key_names_the_nearest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder / "run.toml"
    config.write_text(config.read_text().replace("bootstrap", "bootstrp"))
    assert "'select.bootstrp': did you mean 'bootstrap'?" in refused(capsys, "run", config)


def test_missing_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no configuration file" in refused(capsys, "run", folder / "absent.toml")
    assert "cannot read" in refused(capsys, "steps", folder / "absent.py")
    (folder / "problems.jsonl").unlink()
    assert "problems.jsonl" in refused(capsys, "run", folder / "run.toml")


def test_a_corrupt_line_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "problems.jsonl"
    path.write_text(path.read_text() + "{broken\n")
    assert "problems.jsonl:2" in refused(capsys, "run", folder / "run.toml")
    assert "problems.jsonl:2" in refused(capsys, "validate-problems", path)


def test_a_problem_without_tests_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "problems.jsonl").write_text(json.dumps({**PROBLEM, "tests": []}) + "\n")
    assert "double" in refused(capsys, "run", folder / "run.toml")


def test_a_model_folder_without_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen2"}')
    line = refused(
        capsys,
        "run",
        folder / "run.toml",
        "--set",
        'policy={name = "huggingface", model = "' + str(model) + '"}',
    )
    assert str(model) in line


def test_other_settings_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(folder / "run.toml")]) == 0
    line = refused(capsys, "run", folder / "run.toml", "--seed", 3)
    assert "seed was 0, now 3" in line


def test_no_space_left(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, *records: Any) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file, disk_errors(self.path):
            file.write(b"x")

    monkeypatch.setattr(store.RecordFile, "append", full)
    assert "no space left" in refused(capsys, "run", folder / "run.toml")


def test_a_stage_too_early(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "run `funprm load`" in refused(capsys, "generate", folder / "run.toml")


def test_steps_of_a_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = folder / "program.py"
    program.write_text("import os\n\ndef f():\n    pass\n\ndef g():\n    pass\n")
    assert main(["steps", str(program)]) == 0
    assert "step 2: g" in capsys.readouterr().out
    assert main(["steps", str(program), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["names"] == ["f", "g"]


def test_texts_as_other_systems_write_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = folder / "program.py"
    program.write_bytes(b"\xef\xbb\xbfdef f():\r\n    pass\r\n")
    assert main(["steps", str(program), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["names"] == ["f"]
    program.write_text(" \n")
    assert "is empty" in refused(capsys, "steps", program)


def test_a_file_of_tests_without_a_test_is_no_pass(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("", "\n", "[]"):
        (folder / "tests.json").write_text(text)
        given = ["solve", folder / "programs.jsonl", "--tests", folder / "tests.json"]
        assert "tests.json: no test in it" in refused(capsys, *given)


def test_judging_from_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder / "run.toml"
    before, _, after = config.read_text().partition("[policy]")
    config.write_text(before + after[after.index("[generate]") :])
    assert main(["load", str(config)]) == 0
    for verb in ("generate", "run"):
        assert "no table [policy]" in refused(capsys, verb, config)
    programs = folder / "programs.jsonl"
    row = {"key": "a", "problem_id": "double", "code": "def f(x):\n    return 0\n"}
    programs.write_text(json.dumps(row) + "\n")
    judge = ["judge", folder / "run" / "problems.jsonl", programs, "--out", folder / "v.jsonl"]
    capsys.readouterr()
    assert main([*map(str, judge), "--json", "--workers", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["statuses"] == {"wrong answer": 1}


def test_the_command_line_starts_without_heavy_packages() -> None:
    code = (
        "import sys\nfrom funprm.cli import build_parser\nbuild_parser().format_help()\n"
        "heavy = {'torch', 'transformers', 'numpy', 'matplotlib', 'httpx', 'rich'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_locale_that_is_not_utf_8(folder: Path) -> None:
    """Texts in files are UTF-8 everywhere; what standard output cannot hold is escaped."""
    program = {"problem_id": "double", "code": 'def f(x):\n    "é 😀"\n    return 2 * x\n'}
    (folder / "programs.jsonl").write_text(json.dumps(program) + "\n")
    title = 'title = "é 😀"'
    (folder / "run.toml").write_text(title + RUN.format(folder=folder), encoding="utf-8")
    (folder / "p.py").write_text("def é():\n    return '😀'\n", encoding="utf-8")
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    def funprm(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", "funprm", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, env=plain, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("ascii")

    assert funprm("run", folder / "run.toml").startswith(r"\u00e9 \ud83d\ude00")
    assert "return '\\ud83d\\ude00'" in funprm("steps", folder / "p.py")
    assert json.loads(funprm("steps", folder / "p.py", "--json"))["names"] == ["é"]
