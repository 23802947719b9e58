"""One statement in, one program out: `funprm solve` with recorded programs and a reward model."""

import io
import json
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import funprm
from funprm.cli import main
from funprm.config import TrainConfig
from funprm.datasets.mini import MiniDataset
from funprm.policies.replay import ReplayPolicy

RIGHT = "def f(x):\n    return double(x)\n\n\ndef double(x):\n    return 2 * x\n"
SQUARE = "def f(x):\n    return x * x\n"
WRONG = "def f(x):\n    return 0\n"
BROKEN = "def f(x:\n"

Solve = Callable[..., int]


@pytest.fixture
def solve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Solve:
    """Runs `funprm solve` on a statement, with recorded programs as the policy's answers."""

    def run(programs: list[str], *arguments: object) -> int:
        statement = tmp_path / "statement.txt"
        statement.write_text("Double the number.\n")
        rows = [{"problem_id": "problem", "code": code} for code in programs]
        path = tmp_path / "programs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        policy = ["--set", "policy.name=replay", "--set", f"policy.path={path}"]
        policy += ["--set", "executor.workers=1", "-n", str(len(programs))]
        return main(["solve", str(statement), *policy, *map(str, arguments)])

    return run


@pytest.fixture(scope="module")
def prm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model with a random head: its scores are some numbers."""
    import torch

    from funprm.prm.models.opening import open_base, save

    opened = open_base(TrainConfig(base="tiny", device="cpu"))
    torch.nn.init.normal_(
        opened.model.network.score.weight, generator=torch.Generator().manual_seed(0)
    )
    folder = tmp_path_factory.mktemp("models") / "prm"
    save(opened, folder)
    save(opened, folder.with_name("orm"), {"mode": "orm"})
    return folder


FUNCTION = ["--entry-point", "f", "--example", "[2]", "4", "--example", "[3]", "6"]


def test_only_the_program_is_printed(solve: Solve, capsys: pytest.CaptureFixture[str]) -> None:
    assert solve([WRONG, SQUARE, RIGHT, BROKEN], *FUNCTION) == 0
    out, err = capsys.readouterr()
    assert out == RIGHT
    assert "no reward model given" in err
    assert "from the 1 of 4 programs that pass all 2 tests" in err


def test_everything_as_json(solve: Solve, capsys: pytest.CaptureFixture[str]) -> None:
    assert solve([WRONG, SQUARE, RIGHT], *FUNCTION, "--json", "--scores") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["found"], found["code"]) == ("passes", RIGHT)
    assert found["selector"] == "public_tests+majority"
    assert [(c["index"], c["tests"]) for c in found["candidates"]] == [(2, 1), (1, 0.5), (0, 0)]
    assert found["candidates"][0]["functions"] == [["f", None], ["double", None]]
    assert "*  2   100%      -  f  double" in err


def test_the_reward_model_chooses_among_those_that_pass(
    solve: Solve, prm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = RIGHT.replace("2 * x", "x + x")
    assert solve([RIGHT, other, WRONG], *FUNCTION, "--prm", prm, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    first, second, failed = found["candidates"]
    assert first["score"] > second["score"]
    assert first["score"] == pytest.approx(sum(s for _, s in first["functions"]) / 2)
    assert (found["code"], failed["tests"]) == (first["code"], 0)
    assert solve([RIGHT, other, WRONG], "--prm", prm.with_name("orm"), "--json") == 0
    best = json.loads(capsys.readouterr().out)
    assert best["found"] == "untested"
    assert best["candidates"][0]["score"] == best["candidates"][0]["functions"][-1][1]
    assert best["candidates"][0]["score"] == max(c["score"] for c in best["candidates"])


def test_programs_are_cut_as_the_reward_model_was_trained(
    solve: Solve, prm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(prm, whole)
    settings = json.loads((whole / "funprm.json").read_text())
    settings["reading"] = {"rule": 1, "max_steps": 1, "aggregator": "mean"}
    (whole / "funprm.json").write_text(json.dumps(settings))
    assert solve([RIGHT, WRONG], *FUNCTION, "--prm", whole, "--json") == 0
    out, err = capsys.readouterr()
    assert [name for name, _ in json.loads(out)["candidates"][0]["functions"]] == ["f+double"]
    assert "cut into at most 1 steps" in err
    assert "rollout.max_steps = 12 is not used" in err
    arguments = ["--prm", whole, "--set", "rollout.max_steps=1"]
    assert solve([RIGHT, WRONG], *FUNCTION, *arguments) == 0
    assert "max_steps" not in capsys.readouterr().err
    assert solve([RIGHT, WRONG], *FUNCTION, "--prm", prm) == 0
    assert "rollout.max_steps = 12 is used" in capsys.readouterr().err


def test_without_tests_nothing_runs(
    solve: Solve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace"
    program = f"open({str(trace)!r}, 'w')\n"
    assert solve([program]) == 0
    out, err = capsys.readouterr()
    assert out == program
    assert "chosen at random from 1 programs; no tests given" in err
    assert "execute" not in err
    assert not trace.exists()


def test_all_fail(solve: Solve, capsys: pytest.CaptureFixture[str]) -> None:
    assert solve([WRONG, SQUARE], *FUNCTION) == 1
    out, err = capsys.readouterr()
    assert out == SQUARE
    assert "none of 2 programs passes all 2 tests" in err
    assert "(1 of 2)" in err


def test_no_program_at_all(solve: Solve, capsys: pytest.CaptureFixture[str]) -> None:
    assert solve(["", BROKEN], *FUNCTION, "--json") == 3
    out, err = capsys.readouterr()
    assert "none of 2 answers holds a program" in err
    assert json.loads(out)["code"] == ""
    assert solve([BROKEN]) == 3
    assert capsys.readouterr().out == ""


TESTS = {
    "list.json": '[{"input": "1\\n", "output": "2\\n"}, {"input": "2", "output": "4"}]',
    "lines.jsonl": '{"input": "1\\n", "output": "2\\n"}\n\n{"input": "2", "output": "4"}\n',
    "one.json": '{"input": "2", "output": "4"}',
    "fields.json": '{"tests": [{"input": "2", "output": "4"}], "seconds": 2}',
    "check.json": '{"check": "def check(c):\\n    assert c(2) == 4", "entry_point": "g"}',
}


@pytest.mark.parametrize("name", TESTS)
def test_forms_of_test_files(
    solve: Solve, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_text(TESTS[name])
    good = (
        "def g(x):\n    return 2 * x\n\n\nif __name__ == '__main__':\n    print(g(int(input())))\n"
    )
    assert solve(["print(0)\n", good], "--tests", path) == 0
    assert capsys.readouterr().out == good


def test_standard_input_and_the_tiny_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default policy knows the generated benchmark's statements."""
    problem = next(iter(MiniDataset(train=0, meta=0, validation=0, test=1).load()))
    assert problem.public is not None
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(problem.statement.encode())))
    arguments = ["--entry-point", "solve", "--set", "executor.workers=1"]
    for case in problem.public.cases:
        arguments += ["--example", f"[{case.input}]", str(case.output)]
    assert main(["solve", "-", *arguments]) == 0
    assert capsys.readouterr().out.startswith("def solve(")


def recorded(path: Path, **changes: object) -> Path:
    """Generations of two programs: one hides 990 tokens of reasoning, and is less likely."""
    rows = [
        {"code": WRONG, "logprob": -5.0, "completion_tokens": 1000, "logprob_tokens": 10},
        {"code": RIGHT, "logprob": -1.0, "completion_tokens": 10, "logprob_tokens": 10},
    ]
    lines = [
        {"key": f"{i}", "problem_id": "problem", "index": i, **row, **changes}
        for i, row in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_hidden_reasoning_makes_no_answer_likelier(
    solve: Solve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(tmp_path / "generations.jsonl")
    assert solve([WRONG, RIGHT], "--set", f"policy.path={path}") == 0
    out, err = capsys.readouterr()
    assert out == RIGHT
    assert "chosen by likelihood" in err


def test_older_records_of_servers_have_no_mean(
    solve: Solve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(tmp_path / "generations.jsonl", logprob_tokens=0)
    assert solve([WRONG, RIGHT], "--set", f"policy.path={path}") == 0
    assert "chosen at random" in capsys.readouterr().err


def test_answers_survive_an_interruption(
    solve: Solve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    asked: list[int] = []
    answer = ReplayPolicy.sample

    def interrupted(self: ReplayPolicy, requests: Any) -> Any:
        for number, sample in enumerate(answer(self, requests)):
            if number == 1 and len(asked) == 1:
                asked.append(0)
                signal.raise_signal(signal.SIGINT)
            asked.append(number)
            yield sample

    monkeypatch.setattr(ReplayPolicy, "sample", interrupted)
    monkeypatch.setattr(ReplayPolicy, "unanswered_is_final", False)  # as if answers were paid
    kept = ["--output", tmp_path / "kept"]
    assert solve([WRONG, RIGHT], *FUNCTION, *kept) == 130
    assert "run the same command again to go on" in capsys.readouterr().err
    assert solve([WRONG, RIGHT], *FUNCTION, *kept) == 0
    assert len(asked) == 3  # one, the interruption, and the one that was missing
    asked.clear()
    assert solve([WRONG, RIGHT], *FUNCTION) == 130
    assert "give --output FOLDER" in capsys.readouterr().err


def test_another_problem_in_the_same_folder(
    solve: Solve, tmp_path: Path, prm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ["--output", tmp_path / "kept"]
    assert solve([RIGHT], *FUNCTION, *kept) == 0
    assert solve([RIGHT], *FUNCTION, *kept, "--prm", prm) == 0
    assert solve([RIGHT], *kept) == 2
    assert "dataset.options.problem" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--example", "[1", "2", "--entry-point", "f"], "both are JSON"),
        (["--example", "1", "2", "--entry-point", "f"], "expected a list of arguments"),
        (["--tests", "absent.jsonl"], "cannot read absent.jsonl"),
        (["--starter", "absent.py"], "cannot read absent.py"),
        (["--prm", "absent"], "no reward model in absent"),
        (["-n", "0"], "expected at least one program"),
        (["--config", "absent.toml"], "no configuration file"),
        (["--set", "policy.modle=x"], "did you mean 'model'?"),
        (["--set", "select.aggregator=maen"], "did you mean 'mean'?"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statement = tmp_path / "statement.txt"
    statement.write_text("Double.")
    assert main(["solve", str(statement), *arguments]) == 2
    assert message in _only_line(capsys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1", "tests:1: '[1' is no test"),
        ('{"input": "1", "output": "2"}\n[1]\n', "tests:2: '[1]' is no test"),
        ("3", "3 is no test"),
        ('[{"input": "1"}]', "missing required field `output`"),
        ('[{"input": [1], "output": "2"}]', "entry_point"),
        ('{"test": []}', "did you mean 'tests'?"),
        ('{"entry_point": "f", "tests": [{"input": "x", "output": 1}]}', "one JSON value per line"),
    ],
)
def test_bad_tests_are_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statement, tests = tmp_path / "statement.txt", tmp_path / "tests"
    statement.write_text("Double.")
    tests.write_text(text)
    assert main(["solve", str(statement), "--tests", str(tests)]) == 2
    assert message in _only_line(capsys)


def test_a_statement_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "statement.txt"
    assert main(["solve", str(path)]) == 2
    assert "cannot read" in _only_line(capsys)
    path.write_text(" \n")
    assert main(["solve", str(path)]) == 2
    assert "the statement is empty" in _only_line(capsys)
    path.write_bytes(b"\xff")
    assert main(["solve", str(path)]) == 2
    assert "not UTF-8" in _only_line(capsys)


def _only_line(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("funprm: ")
    return line


def test_a_scorer_of_others_chooses(
    solve: Solve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.toml"
    config.write_text('[scorers.liking]\nname = "tests.pipeline.test_scoring:Liking"\nnumber = 0\n')
    assert solve([RIGHT, WRONG], "--config", config, "--scorer", "liking", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["code"] == WRONG  # as nothing tests it
    assert found["candidates"][0]["functions"] == [["f", 0.9]]
    assert found["candidates"][1]["functions"] == [["f", None], ["double", 0.2]]
    assert solve([RIGHT], "--config", config, "--scorer", "likin") == 2
    assert "did you mean 'liking'?" in capsys.readouterr().err
    assert solve([RIGHT], "--config", config, "--scorer", "liking", "--prm", "x") == 2
    assert "--prm and --scorer: give one of them" in capsys.readouterr().err


def test_a_scorer_of_others_scores_in_python() -> None:
    scorer = funprm.load_scorer("tests.pipeline.test_scoring:Liking", number=2)
    problem = funprm.Problem.of("Return two.", entry_point="f", examples=[((), 2)])
    programs = ["def f():\n    return 1\n", "def g():\n    return 2\n\n\ndef f():\n    return 2\n"]
    scores = scorer.score(problem, programs)
    assert [list(found) for found in scores] == [[0.2], [0.9]]
    assert scores[1].names == ("whole program",)
    assert funprm.select(programs, scores=scores, by="score") == programs[1]
