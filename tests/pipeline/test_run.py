import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from funprm.config import parse_config
from funprm.errors import ConfigError, DataError, PolicyError, StoreError
from funprm.pipeline.stages import STAGES, run_all, run_stage
from tests.pipeline.conftest import Quiet


def table(folder: str) -> dict[str, float]:
    summary = json.loads((Path(folder) / "summary.json").read_text())
    return {row["selector"]: row["accuracy"]["estimate"] for row in summary["table"]}


def test_from_problems_to_the_table(replayed: dict[str, Any], progress: Quiet) -> None:
    summary = run_all(parse_config(replayed), progress)
    assert table(replayed["output"]) == pytest.approx(
        {
            "random": 5 / 12,
            "majority": 5 / 12,
            "public_tests": 5 / 6,
            "public_tests+majority": 5 / 6,
            "oracle": 5 / 6,
        }
    )
    assert "report.html" in summary.text()
    assert json.loads(summary.json())["table"]


def test_a_finished_run_repeats_nothing(replayed: dict[str, Any], progress: Quiet) -> None:
    first = run_all(parse_config(replayed), progress).text()
    again = Quiet()
    assert run_all(parse_config(replayed), again).text() == first
    assert again.worked == []


@pytest.mark.parametrize("stage", ["generations", "steps", "verdicts", "rewards", "selections"])
def test_an_interrupted_run_ends_with_the_same_table(
    replayed: dict[str, Any], progress: Quiet, stage: str
) -> None:
    run_all(parse_config(replayed), progress)
    expected = (Path(replayed["output"]) / "table.txt").read_text()
    cut = Path(replayed["output"]) / f"{stage}.jsonl"
    manifest = Path(replayed["output"]) / "manifest.json"
    state = json.loads(manifest.read_text())
    state["stages"] = dict(list(state["stages"].items())[:1])
    manifest.write_text(json.dumps(state))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    run_all(parse_config(replayed), Quiet())
    assert (Path(replayed["output"]) / "table.txt").read_text() == expected


def test_verdicts_by_other_rules_are_not_counted(replayed: dict[str, Any], progress: Quiet) -> None:
    run_all(parse_config(replayed), progress)
    folder = Path(replayed["output"])
    state = json.loads((folder / "manifest.json").read_text())
    verdicts = (folder / "verdicts.jsonl").read_text()
    (folder / "verdicts.jsonl").write_text(verdicts + verdicts.replace('"key":"', '"key":"old'))
    kept = {**state, "stages": dict(list(state["stages"].items())[:1])}
    (folder / "manifest.json").write_text(json.dumps(kept))
    run_all(parse_config(replayed), Quiet())
    again = json.loads((folder / "manifest.json").read_text())
    assert again["stages"]["execute"]["facts"] == state["stages"]["execute"]["facts"]


def test_stages_one_by_one_equal_all_at_once(
    replayed: dict[str, Any], progress: Quiet, tmp_path: Path
) -> None:
    run_all(parse_config(replayed), progress)
    parts = {**replayed, "output": str(tmp_path / "parts")}
    for name in STAGES:
        run_stage(parse_config(parts), progress, name)
    assert table(parts["output"]) == table(replayed["output"])


def test_a_stage_before_its_inputs_is_refused(replayed: dict[str, Any], progress: Quiet) -> None:
    with pytest.raises(StoreError, match="stage 'rollout' of .* is not complete"):
        run_stage(parse_config(replayed), progress, "execute")


def test_other_settings_in_the_same_folder_are_refused(
    replayed: dict[str, Any], progress: Quiet
) -> None:
    run_stage(parse_config(replayed), progress, "load")
    with pytest.raises(StoreError, match=r"generate\.n was 4, now 2"):
        run_stage(parse_config({**replayed, "generate": {"n": 2}}), progress, "load")


def test_selection_can_change_without_new_work(replayed: dict[str, Any], progress: Quiet) -> None:
    run_all(parse_config(replayed), progress)
    other = {**replayed, "select": {"selectors": ["random", "oracle"], "bootstrap": 200}}
    again = Quiet()
    run_all(parse_config(other), again)
    assert again.worked == ["select", "report"]
    assert set(table(replayed["output"])) == {"random", "oracle"}


def test_a_damaged_file_is_named(replayed: dict[str, Any], progress: Quiet) -> None:
    run_stage(parse_config(replayed), progress, "load")
    run_stage(parse_config(replayed), progress, "generate")
    path = Path(replayed["output"]) / "generations.jsonl"
    path.write_bytes(b"{broken\n" + path.read_bytes())
    with pytest.raises(Exception, match=r"generations\.jsonl:1: not a Generation record"):
        run_stage(parse_config(replayed), progress, "segment")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dataset": {"name": "mimi"}}, ConfigError, "unknown data set 'mimi': did you mean"),
        ({"dataset": {"name": "mini", "tset": 1}}, ConfigError, "no setting 'tset': did you mean"),
        ({"dataset": {"name": "mini", "test": "x"}}, ConfigError, "test = 'x' is not usable"),
        ({"policy": {"name": "replay"}}, ConfigError, "needs the setting 'path'"),
        ({"executor": {"name": "remote"}}, ConfigError, "unknown executor 'remote'"),
        (
            {"dataset": {"name": "mini", "train": 0, "meta": 0, "validation": 0, "test": 0}},
            DataError,
            "no problem with these settings",
        ),
        ({"select": {"selectors": ["orakle"]}}, ConfigError, "unknown selector 'orakle'"),
    ],
)
def test_wrong_settings_are_one_line(
    replayed: dict[str, Any],
    progress: Quiet,
    change: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        run_all(parse_config({**replayed, **change}), progress)


def test_programs_for_other_problems(replayed: dict[str, Any], progress: Quiet) -> None:
    path = Path(replayed["policy"]["path"])
    path.write_text('{"problem_id": "other", "code": "x"}\n')
    with pytest.raises(PolicyError, match="no program"):
        run_all(parse_config(replayed), progress)
    shutil.rmtree(replayed["output"])
