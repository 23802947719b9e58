"""What a run does when something has changed since: only what the present plan asks for is used."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from funprm.config import parse_config
from funprm.errors import ConfigError, StoreError
from funprm.pipeline.stages import run_all, run_stage
from funprm.records import Status, Verdict
from funprm.store import read_records
from tests.pipeline.conftest import Quiet
from tests.pipeline.world import World, fast
from tests.prm.world import make_base

__all__ = ["fast"]


@pytest.fixture
def world(tmp_path: Path, fast: None) -> World:
    return World(tmp_path / "world")


class Told(Quiet):
    """Progress that keeps the notes."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def finish(self, note: str) -> None:
        self.notes.append(note)


def run(world: World, folder: Path, **changes: Any) -> tuple[Told, dict[str, Any]]:
    told = Told()
    run_all(parse_config({**world.settings, "output": str(folder), **changes}), told)
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return told, summary


def accuracies(summary: dict[str, Any]) -> dict[str, float]:
    return {row["selector"]: row["accuracy"]["estimate"] for row in summary["table"]}


def test_nothing_is_done_twice(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "run")
    again, _ = run(world, tmp_path / "run")
    assert again.worked == []


def test_mended_hidden_tests_judge_again_and_generate_nothing(world: World, tmp_path: Path) -> None:
    _, before = run(world, tmp_path / "run")
    for problem in world.problems:
        tests: Any = problem["tests"]
        tests[1]["output"] = "7"
    world.write()
    again, after = run(world, tmp_path / "run")
    assert "execute" in again.worked
    assert not {"generate", "rollout"} & set(again.worked)
    assert accuracies(before)["oracle"] > accuracies(after)["oracle"] == 0


@pytest.mark.parametrize(
    ("text", "stage"), [("template", "generate"), ("weights", "generate"), ("rules", "execute")]
)
def test_changed_files_and_rules_are_noticed(
    world: World, tmp_path: Path, text: str, stage: str
) -> None:
    run(world, tmp_path / "run")
    world.texts[text] = "1"
    world.write()
    again, found = run(world, tmp_path / "run")
    assert stage in again.worked
    assert accuracies(found) == accuracies(run(world, tmp_path / "fresh")[1])


def test_tokens_are_those_of_prompts_and_answers(world: World, tmp_path: Path) -> None:
    """Of completions, too: prompts are most of what they cost."""
    _, found = run(world, tmp_path / "run")
    costs = {cost["stage"]: cost for cost in found["costs"]}
    for stage in ("generate", "rollout"):
        assert costs[stage]["items"] > 0
        assert costs[stage]["tokens"] == 8 * costs[stage]["items"]


def test_answers_of_two_templates_are_not_mixed(world: World, tmp_path: Path) -> None:
    run_stage(parse_config({**world.settings, "output": str(tmp_path / "run")}), Quiet(), "load")
    run_stage(
        parse_config({**world.settings, "output": str(tmp_path / "run")}), Quiet(), "generate"
    )
    world.texts["template"] = "t1"
    world.write()
    told, found = run(world, tmp_path / "run")
    assert {row["n"] for row in found["table"]} == {1, 2}
    assert found["costs"][0]["items"] == 12
    assert any("12 stored of other settings or contents not used" in note for note in told.notes)


def test_a_run_of_combined_data_sets_grows(world: World, tmp_path: Path) -> None:
    def grown(**at_most: int) -> tuple[list[str], list[bytes], dict[str, float]]:
        part = {**world.settings["dataset"], "at_most": at_most}
        dataset = {"name": "combined", "parts": {"own": part}}
        told, found = run(world, tmp_path / "run", dataset=dataset)
        lines = (tmp_path / "run" / "generations.jsonl").read_bytes().splitlines()
        return told.worked, lines, accuracies(found)

    _, small, _ = grown(train=1, test=1)
    worked, large, after = grown()
    assert {"load", "generate", "rollout", "execute"} <= set(worked)
    assert (len(small), len(large), large[: len(small)]) == (8, 12, small)  # nothing twice
    assert after == accuracies(run(world, tmp_path / "fresh")[1])


@pytest.mark.parametrize("name", ["generations", "steps", "rollouts", "verdicts", "rewards"])
def test_a_deleted_line_is_work_done_again(world: World, tmp_path: Path, name: str) -> None:
    _, before = run(world, tmp_path / "run")
    path = tmp_path / "run" / f"{name}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]))
    _, after = run(world, tmp_path / "run")
    assert accuracies(after) == accuracies(before)
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)


def test_a_changed_line_is_work_done_again(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "run")
    path = tmp_path / "run" / "verdicts.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"status":"passed"', '"status":"wrong answer"', 1))
    again, _ = run(world, tmp_path / "run")
    assert "execute" in again.worked
    assert path.read_text().count('"passed"') >= text.count('"passed"')


def test_what_was_not_judged_is_tried_again(world: World, tmp_path: Path) -> None:
    world.texts["broken"] = "0123"
    world.write()
    told, found = run(world, tmp_path / "run")
    assert any("not judged: the judge failed" in note for note in told.notes)
    assert "not judged: the judge failed" in found["missing"]["execute"][0]
    again, _ = run(world, tmp_path / "run")
    assert again.worked == ["execute"]
    world.texts["broken"] = ""
    world.write()
    _, healed = run(world, tmp_path / "run")
    assert healed["missing"] == {}
    assert accuracies(healed) == accuracies(run(world, tmp_path / "fresh")[1])


@pytest.mark.parametrize(
    "manifest",
    [
        b"[]",
        b'{"schema": 2, "stages": {}}',
        b'{"schema": 2, "stages": {}, "settings": [1]}',
        b'{"schema": 2, "stages": {"load": 3}, "settings": {}}',
        b'{"schema": 2, "stages": [], "settings": {}}',
        b'{"schema": 2, "stages": {"\xff": {}}, "settings": {}}',
    ],
)
def test_what_is_no_manifest_is_refused(world: World, tmp_path: Path, manifest: bytes) -> None:
    run_stage(parse_config({**world.settings, "output": str(tmp_path)}), Told(), "load")
    (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(StoreError, match=r"manifest.json is not a manifest .*: restore it"):
        run_stage(parse_config({**world.settings, "output": str(tmp_path)}), Told(), "load")


def test_folders_in_place_of_files_are_refused(world: World, tmp_path: Path) -> None:
    world.replay()
    run(world, tmp_path / "run")
    for path in list((tmp_path / "run").iterdir()):
        if path.name == ".lock":
            continue
        content = path.read_bytes()
        path.unlink()
        path.mkdir()
        with pytest.raises(StoreError, match=rf"cannot read .*{path.name}: Is a directory"):
            run(world, tmp_path / "run")
        path.rmdir()
        path.write_bytes(content)


def test_missing_programs_are_named(world: World, tmp_path: Path) -> None:
    world.replay()
    world.recorded = [1, 1]
    world.write()
    told, found = run(world, tmp_path / "run")
    assert found["missing"]["generate"] == ["1 problem without a program (p4)"]
    assert found["missing"]["select"] == ["1 problem without a program to choose (p4)"]
    assert any("without a program (p4)" in note for note in told.notes)
    again, _ = run(world, tmp_path / "run")
    assert again.worked == []


def test_one_suite_in_two_roles(world: World, tmp_path: Path) -> None:
    """Hidden for a train problem, where one verdict is wanted; public elsewhere: one per case."""
    world.replay()
    world.recorded = [0, 2]
    shared = [{"input": "", "output": "0"}, {"input": "a", "output": "1"}]
    for problem in world.problems:
        tests: Any = shared
        if problem["split"] == "test":
            tests = [{**case, "public": True} for case in shared] + [{"input": "b", "output": "0"}]
        problem["tests"] = tests
    world.write()
    _, found = run(world, tmp_path / "run")
    shares = [
        sum(result.status is Status.PASSED for result in verdict.results)
        for verdict in read_records(tmp_path / "run" / "verdicts.jsonl", Verdict)
        if verdict.total == 2 and verdict.results
    ]
    assert sorted(shares) == [0, 1]
    assert found["missing"] == {}


def test_places_and_transport_may_change(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "run")
    moved = world.place / "moved.jsonl"
    (world.place / "problems.jsonl").rename(moved)
    world.settings["dataset"]["path"] = str(moved)
    world.settings["policy"] |= {"batch": 2, "device": "gpu"}
    world.settings["executor"]["workers"] = 3
    again, _ = run(world, tmp_path / "run")
    assert set(again.worked) <= {"report"}


def test_a_changed_report_is_written_again(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "run")
    path = tmp_path / "run" / "table.txt"
    path.write_text("99.9 %")
    again, _ = run(world, tmp_path / "run")
    assert again.worked == ["report"]
    assert "99.9" not in path.read_text()


def test_a_folder_of_an_earlier_format_is_refused_in_one_line(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 1}))
    with pytest.raises(StoreError, match="format 1, not 2 as today: give another `output`"):
        run(world, tmp_path / "run")


# --- trained models --------------------------------------------------------------------------


@pytest.fixture
def trained(world: World, tmp_path: Path) -> World:
    base = make_base(tmp_path / "base")
    model = {"base": str(base), "tuning": "full", "epochs": 2.0, "batch": 4, "device": "cpu"}
    world.settings["models"] = {"orm": {"labels": "outcome", **model}}
    run(world, tmp_path / "run")
    return world


def test_a_file_in_place_of_a_folder_is_refused(trained: World, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "run" / "prm")
    (tmp_path / "run" / "prm").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*/prm: Not a directory"):
        run(trained, tmp_path / "run")


def test_trainings_of_other_data_are_set_aside_and_brought_back(
    trained: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tmp_path / "run" / "prm" / "orm" / "model" / "model.safetensors"
    first = weights.read_bytes()
    before = json.dumps(trained.problems)
    for problem in trained.problems:
        tests: Any = problem["tests"]
        tests[1]["output"] = "1"
    trained.write()
    again, _ = run(trained, tmp_path / "run")
    assert {"train", "score"} <= set(again.worked)
    assert len(list((tmp_path / "run" / "prm" / ".earlier").iterdir())) == 1
    assert "model 'orm' was trained with other settings, data or version: it is kept" in caplog.text
    trained.problems = json.loads(before)
    trained.write()
    run(trained, tmp_path / "run")
    assert weights.read_bytes() == first


def test_a_model_that_is_not_what_was_trained_is_refused(trained: World, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "prm" / "orm"
    path = folder / "model" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"model\.safetensors is not what training wrote: restore"):
        run(trained, tmp_path / "run")


def test_other_base_weights_train_again(trained: World, tmp_path: Path) -> None:
    make_base(tmp_path / "base", seed=7)
    again, _ = run(trained, tmp_path / "run")
    assert "train" in again.worked


def test_training_settings_that_say_how_may_change(trained: World, tmp_path: Path) -> None:
    trained.settings["models"]["orm"] |= {"device": "auto", "checkpointing": True}
    again, _ = run(trained, tmp_path / "run")
    assert "train" not in again.worked


def test_a_result_that_was_changed_is_refused(trained: World, tmp_path: Path) -> None:
    path = tmp_path / "run" / "prm" / "orm" / "result.json"
    path.write_text(path.read_text().replace('"not_fitting": 0', '"not_fitting": 3'))
    with pytest.raises(StoreError, match=r"result\.json is not what training wrote: restore"):
        run(trained, tmp_path / "run")


def test_a_deleted_warm_up_is_made_again(trained: World, tmp_path: Path) -> None:
    model = {**trained.settings["models"]["orm"], "epochs": 2.0, "warmup_epochs": 1.0}
    trained.settings["models"] = {"a": {**model, "clean_outcomes": False, "correction": "none"}}
    run(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "prm" / "a" / "state")
    trained.settings["models"]["b"] = {**model, "correction": "none"}
    run(trained, tmp_path / "run")
    again, _ = run(trained, tmp_path / "run")
    assert again.worked == []


@pytest.mark.parametrize("name", ["a:mean", "../x", ".earlier", "a b", ""])
def test_names_of_models_are_names(world: World, tmp_path: Path, name: str) -> None:
    world.settings["models"] = {name: {}}
    with pytest.raises(ConfigError, match="model name"):
        run(world, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generate": {"n": 0}}, r"generate\.n is 0"),
        ({"rollout": {"k": -1}}, r"rollout\.k = -1: expected 0 or more"),
        ({"select": {"bootstrap": -1}}, r"select\.bootstrap = -1"),
        ({"select": {"selectors": ["oracle"]}}, r"baseline = 'random' is not among"),
    ],
)
def test_settings_out_of_range_are_refused_first(
    world: World, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(world, tmp_path / "run", **changes)


def test_a_gap_does_not_shorten_the_curve(world: World, tmp_path: Path) -> None:
    world.problems += [{**world.problems[5], "id": f"q{i}"} for i in range(3)]
    world.replay()
    world.write()
    path = world.place / "programs.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not ("p4" in line and "return 1" in line)))
    _, found = run(world, tmp_path / "run")
    assert {point["n"] for point in found["curves"][0]["points"]} == {1, 2}
    assert found["curves"][0]["problems"] == 4
