"""`funprm solve --search`: from the command to the answer, interrupted and not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from funprm import solve
from funprm.cli import main
from funprm.datasets.mini import MiniDataset
from funprm.errors import ConfigError
from funprm.records import Generation, Problem
from funprm.search.records import Node
from funprm.store import read_records
from tests.models import save_prm

BUILT_IN = ["best_of_n", "beam", "smc", "early_stopping", "repair", "adaptive"]


@pytest.fixture(scope="module")
def problem() -> Problem:
    return next(iter(MiniDataset(train=0, meta=0, validation=0, test=1).load()))


@pytest.fixture(scope="module")
def prm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "prm"
    save_prm(folder)
    return folder


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_search_solves(name: str, problem: Problem, prm: Path, tmp_path: Path) -> None:
    settings = {"executor.workers": 1}
    first = solve(problem, prm=prm, search=name, n=4, settings=settings, output=tmp_path)
    assert first.code.startswith("def solve(")
    assert first.candidates
    tree = list(read_records(tmp_path / "tree.jsonl", Node))
    programs = list(read_records(tmp_path / "candidates.jsonl", Generation))
    assert {item.key for item in programs} <= {node.key for node in tree}
    assert len(programs) == len(first.candidates)
    written = (tmp_path / "nodes.jsonl").read_bytes()
    again = solve(problem, prm=prm, search=name, n=4, settings=settings, output=tmp_path)
    assert (again, (tmp_path / "nodes.jsonl").read_bytes()) == (first, written)


def test_best_of_n_is_what_is_sampled_without_a_search(problem: Problem, prm: Path) -> None:
    settings = {"executor.workers": 1}
    sampled, searched = (
        solve(problem, prm=prm, n=4, search=name, settings=settings) for name in (None, "best_of_n")
    )
    known = [
        sorted((c.code, c.score, c.tests) for c in solution.candidates)
        for solution in (sampled, searched)
    ]
    assert known[0] == known[1]


def test_searches_share_a_folder(problem: Problem, prm: Path, tmp_path: Path) -> None:
    settings = {"executor.workers": 1}
    names = ("beam", "smc", "beam")
    beam, _, again = (
        solve(problem, prm=prm, n=4, search=name, settings=settings, output=tmp_path)
        for name in names
    )
    assert beam == again


def command(problem: Problem, folder: Path, *arguments: object) -> list[str]:
    assert problem.public is not None
    statement = folder / "statement.txt"
    statement.write_text(problem.statement)
    line = ["solve", str(statement), "--entry-point", "solve", "--set", "executor.workers=1"]
    for case in problem.public.cases:
        line += ["--example", f"[{case.input}]", str(case.output)]
    return [*line, *map(str, arguments)]


@pytest.mark.slow
def test_killed_in_the_midst_and_again(problem: Problem, prm: Path, tmp_path: Path) -> None:
    """The same answer, and not a line of the tree paid twice."""
    wanted = ["--search", "beam", "--prm", prm, "-n", 32, "--json", "--output"]
    run = [sys.executable, "-m", "funprm"]
    kept, nodes = tmp_path / "kept", tmp_path / "kept" / "nodes.jsonl"
    process = subprocess.Popen(
        [*run, *command(problem, tmp_path, *wanted, kept)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while process.poll() is None and (not nodes.exists() or nodes.stat().st_size < 5000):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = list(read_records(nodes, Node))
    assert before
    found = []
    for folder in (kept, tmp_path / "other"):
        done = subprocess.run(
            [*run, *command(problem, tmp_path, *wanted, folder)],
            capture_output=True,
            check=False,
            text=True,
        )
        assert done.returncode in (0, 1), done.stderr
        found.append((json.loads(done.stdout), (folder / "tree.jsonl").read_bytes()))
    assert found[0][0] == found[1][0]
    trees = [[_untimed(json.loads(line)) for line in tree.splitlines()] for _, tree in found]
    assert trees[0] == trees[1]
    answers = [node.key for node in read_records(nodes, Node) if not node.model]
    assert len(answers) == len(set(answers)) == len(trees[0])


def _untimed(line: dict[str, object]) -> dict[str, object]:
    return {name: line[name] for name in line.keys() - {"seconds", "crc"}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--search", "bream"], "unknown search 'bream': did you mean 'beam'?"),
        (["--search", "beam"], "give one (--prm FOLDER)"),
        (["--search", "beam", "--set", "search.expnd=2"], "did you mean 'expand'?"),
        (["--search", "beam", "--set", "search.expand=0"], "search.expand is 0"),
        (["--search", "beam", "--set", "search.n=3"], "set generate.n"),
        (["--search", "smc", "--set", "search.resample=x"], "resample = 'x' is not usable"),
    ],
)
def test_wrong_searches_are_one_line(
    arguments: list[str],
    message: str,
    problem: Problem,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(command(problem, tmp_path, *arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]


def test_the_tiny_model_default_needs_no_prompt(problem: Problem, prm: Path) -> None:
    """Prompts of several chats are refused, and the error says what to set."""
    settings = {"policy.prompt": "refactored", "policy.max_tokens": 4}
    with pytest.raises(ConfigError, match="chain_of_function"):
        solve(problem, prm=prm, search="beam", settings=settings)


def test_runs_do_not_ignore_a_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        f'output = "{tmp_path}/run"\n[dataset]\nname = "mini"\n[policy]\nname = "huggingface"\n'
        '[search]\nname = "beam"\n'
    )
    assert main(["run", str(path)]) == 2
    assert "table [search]: runs sample" in capsys.readouterr().err
