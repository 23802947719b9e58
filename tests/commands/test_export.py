import json
from pathlib import Path
from typing import Any

import pytest

from funprm.cli import main
from funprm.commands.export import Wanted, export
from funprm.commands.import_programs import import_programs
from funprm.config import parse_config
from funprm.errors import ConfigError, DataError, FunprmError, StoreError
from funprm.pipeline.run import Run
from funprm.pipeline.stages import run_all, run_stage
from funprm.records import Generation, Status, Verdict
from funprm.row_files import read_rows
from funprm.store import read_records
from tests.pipeline.conftest import Quiet


def made(settings: dict[str, Any], out: Path, **asked: Any) -> list[dict[str, Any]]:
    with Run(parse_config(settings), Quiet()) as run:
        export(run, Wanted(out=out, **asked))
    return [row for _, row in read_rows(out, dict[str, Any])]


def test_programs_leave_and_come_back_with_their_verdicts(
    replayed: dict[str, Any], progress: Quiet, tmp_path: Path
) -> None:
    run_all(parse_config(replayed), progress)
    out = tmp_path / "eval_all.json"
    rows = made(replayed, out, format="livecodebench")
    assert sorted(row["graded_list"] for row in rows) == [
        [False] * 4,  # the problem whose programs are all wrong
        *[[False, True, True, False]] * 5,
    ]
    assert [row["question_id"] for row in rows] == sorted(row["question_id"] for row in rows)
    import_programs(out, tmp_path / "back.jsonl", verdicts=tmp_path / "verdicts.jsonl")
    back = list(read_records(tmp_path / "back.jsonl", Generation))
    stored = list(read_records(Path(replayed["output"]) / "generations.jsonl", Generation))
    assert {(g.problem_id, g.index, g.code) for g in back} == {
        (g.problem_id, g.index, g.code) for g in stored if "-test-" in g.problem_id
    }
    passed = [v.status is Status.PASSED for v in read_records(tmp_path / "verdicts.jsonl", Verdict)]
    assert sum(passed) == sum(sum(row["graded_list"]) for row in rows)

    samples = made(replayed, tmp_path / "s.jsonl", format="bigcodebench", split="train")
    assert [set(row) for row in samples] == [{"task_id", "solution"}] * 8
    chosen = made(replayed, tmp_path / "c.json", format="livecodebench-custom", selector="oracle")
    assert [len(row["code_list"]) for row in chosen] == [1] * 6
    table = made(replayed, tmp_path / "p.jsonl.gz", format="programs")
    assert sum(row["passed"] for row in table) == sum(passed)
    steps = made(replayed, tmp_path / "steps.jsonl", format="stepwise")
    assert [row["labels"] for row in steps].count([1.0]) == 4  # no rollouts: verdicts alone


def test_what_cannot_be_exported_is_one_line(
    replayed: dict[str, Any], progress: Quiet, tmp_path: Path
) -> None:
    config = parse_config(replayed)
    out = tmp_path / "a.json"
    with Run(config, progress) as run:
        for name, stage in (
            ("livecodebench", "execute"),
            ("livecodebench-custom", "generate"),
            ("stepwise", "reward"),
        ):
            with pytest.raises(StoreError, match=f"stage '{stage}' of .* is not complete"):
                export(run, Wanted(format=name, out=out))
    for stage in ("load", "generate", "segment", "rollout", "execute", "reward"):
        run_stage(config, progress, stage)
    with Run(config, progress) as run:
        with pytest.raises(StoreError, match="stage 'select'"):
            export(run, Wanted(format="livecodebench-custom", out=out, selector="oracle"))
        with pytest.raises(StoreError, match="stage 'train'"):
            export(run, Wanted(format="stepwise", out=out, model="funprm"))
    assert not out.exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"format": "livecodebanch"}, "unknown format .*did you mean 'livecodebench'"),
        ({"format": "livecodebench", "out": "a.jsonl"}, "files of format 'livecodebench' end in"),
        ({"format": "bigcodebench", "out": "a.json"}, "end in .jsonl or .parquet"),
        ({"format": "stepwise", "split": "tests"}, "unknown split 'tests'"),
        ({"format": "programs", "model": "m"}, "--model is for the format 'stepwise' only"),
        ({"format": "stepwise", "selector": "oracle"}, "--selector chooses programs"),
    ],
)
def test_wishes_are_checked_first(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Wanted(**{"out": Path(asked.pop("out", "a.json")), **asked})


def test_names_that_the_run_does_not_have(
    replayed: dict[str, Any], progress: Quiet, tmp_path: Path
) -> None:
    run_all(parse_config(replayed), progress)
    asked: list[tuple[dict[str, Any], type[FunprmError], str]] = [
        ({"format": "programs", "selector": "orakle"}, ConfigError, "did you mean 'oracle'"),
        ({"format": "stepwise", "model": "m"}, ConfigError, "no model 'm' in .*there are no"),
    ]
    for wish, error, message in asked:
        with pytest.raises(error, match=message):
            made(replayed, tmp_path / "a.json", **wish)
    smaller = {
        **replayed,
        "output": str(tmp_path / "other"),
        "dataset": {**replayed["dataset"], "train": 0},
    }
    run_all(parse_config(smaller), progress)
    with pytest.raises(DataError, match="split 'train' has no step that was measured"):
        made(smaller, tmp_path / "a.json", format="stepwise")


def test_the_command_line(
    replayed: dict[str, Any], progress: Quiet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_all(parse_config(replayed), progress)
    config = tmp_path / "run.toml"
    lines = [f"output = {json.dumps(replayed['output'])}"]
    for table in ("dataset", "policy", "executor", "generate", "rollout", "select"):
        lines += [f"[{table}]", *(f"{k} = {json.dumps(v)}" for k, v in replayed[table].items())]
    config.write_text("\n".join(lines))
    out = str(tmp_path / "samples.jsonl")
    assert main(["export", str(config), "evalplus", out]) == 0
    assert capsys.readouterr().out == f"24 rows in {out}; 0 programs left out\n"
    assert main(["export", str(config), "evalplus", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": 24, "left_out": 0}
    back = str(tmp_path / "back.jsonl")
    assert main(["import", out, "--out", back]) == 0
    assert capsys.readouterr().out == f"24 programs in {back}: 24 no verdict\n"
    assert main(["import", out, "--out", back, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"no verdict": 24}
    assert main(["export", str(config), "evalplus", "x.csv"]) == 2
    assert capsys.readouterr().err.startswith("funprm: 'x.csv': expected a name that ends in")
