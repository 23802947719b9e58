"""What a run will take: a pilot against the run itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from funprm.commands.amounts import total
from funprm.commands.merge import merge
from funprm.commands.pilot import stored_rates
from funprm.commands.plan import Plan, plan
from funprm.config import RunConfig, parse_config
from funprm.errors import ConfigError, StoreError
from funprm.pipeline.stages import run_all
from funprm.testing.server import Script, serve
from tests.pipeline.conftest import Quiet
from tests.pipeline.world import World, fast

__all__ = ["fast"]

pytestmark = pytest.mark.usefixtures("fast")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "world")
    made.settings["output"] = str(tmp_path / "run")
    for number in range(60):
        split = ["train", "test", "test"][number % 3]
        own = [{"input": f"x{number}", "output": "0"}]
        problem = {"id": f"q{number}", "split": split, "statement": f"Say 0, {number}."}
        made.problems.append({**made.problems[0], **problem, "tests": own})
    made.write()
    return made


def planned(world: World, *, pilot: bool = True, per_split: int = 8) -> Plan:
    return plan(config(world), Quiet(), pilot=pilot, per_split=per_split)


def config(world: World) -> RunConfig:
    return parse_config(world.settings)


def lines(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def tokens(path: Path) -> int:
    """As many as answers have, in a file."""
    found = map(json.loads, path.read_bytes().splitlines())
    return sum(record.get("completion_tokens", 0) for record in found)


def test_the_plan_is_what_the_run_takes(world: World, tmp_path: Path) -> None:
    found = planned(world)
    run_all(config(world), Quiet())
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    costs = {cost["stage"]: cost for cost in summary["costs"]}
    run = tmp_path / "run"
    names = ("problems", "generations", "steps", "rollouts", "verdicts", "rewards")
    actual = {
        "programs": costs["generate"]["items"],
        "tokens of programs": tokens(run / "generations.jsonl"),
        "tokens of completions": tokens(run / "rollouts.jsonl"),
        "completions": costs["rollout"]["items"],
        "programs to judge": lines(run / "verdicts.jsonl"),
        "MB on disk": sum((run / f"{name}.jsonl").stat().st_size for name in names) / 1e6,
    }
    assert found.pilot == 8 + 8 + 1 + 1
    for name, value in actual.items():
        estimate, low, high = found.amounts[name]
        assert abs(estimate - value) <= 0.25 * value, name
        assert low <= estimate <= high, name
    assert {work.stage for work in found.work} == {"generate", "rollout", "execute"}
    assert all(work.seconds > 0 for work in found.work)


def test_of_all_problems_nothing_is_guessed(world: World) -> None:
    found = planned(world, per_split=100)
    assert found.pilot == sum(found.splits.values())
    assert all(low == value == high for value, low, high in found.amounts.values())


def test_a_pilot_is_run_once_and_its_records_are_the_runs(world: World, tmp_path: Path) -> None:
    first = planned(world)
    pilot = tmp_path / "run" / "pilot"
    rates, stored = stored_rates(pilot), lines(pilot / "generations.jsonl")
    again, seen = planned(world), planned(world, pilot=False, per_split=3)
    assert first == again == seen
    assert stored_rates(pilot) == rates
    assert lines(pilot / "generations.jsonl") == stored
    merge([pilot], tmp_path / "run")
    run_all(config(world), Quiet())
    taken = (tmp_path / "run" / "generations.jsonl").read_bytes().splitlines()
    assert taken[:stored] == (pilot / "generations.jsonl").read_bytes().splitlines()
    assert len(taken) == first.amounts["programs"].estimate


def test_without_a_pilot_only_what_is_certain(world: World) -> None:
    found = planned(world, pilot=False)
    assert list(found.amounts) == ["programs"]
    assert "--pilot" in found.text()


def test_a_pilot_of_other_data_is_refused(world: World) -> None:
    planned(world)
    for problem in world.problems:
        problem["statement"] = f"{problem['statement']}?"
    world.write()
    with pytest.raises(StoreError, match="of other data, or ended early: give --pilot"):
        planned(world, pilot=False)


def test_one_problem_shows_no_spread(world: World) -> None:
    with pytest.raises(ConfigError, match="expected 2 or more"):
        planned(world, per_split=1)


def test_what_it_says(world: World) -> None:
    world.settings["models"] = {"a": {}, "b": {"epochs": 9}}
    found = planned(world)
    lines = found.text().splitlines()
    assert lines[0].startswith("66 problems (")
    assert lines[0].endswith("from a pilot of 18")
    assert any(line.startswith("time of execute") for line in lines)
    assert "Not measured: training (2 models" in lines[-1]
    told: Any = found.json()
    assert json.loads(json.dumps(told))["stages"]["execute"]["seconds"] > 0


def test_money_is_what_answers_cost(world: World) -> None:
    program = "```python\nx = 2\n```\n"
    with serve(Script(answer=lambda body, index: program)) as server:  # 10 tokens for 5
        prices = {"price_input": 1.0, "price_output": 2.0}
        address = {"name": "openai_api", "model": "tiny", "base_url": [server.url]}
        world.settings["policy"] = {**address, **prices}
        world.settings["rollout"] = {"k": 0}
        found = planned(world, per_split=2)
    assert found.amounts["cost"].estimate == pytest.approx(132 * 20e-6)
    assert found.amounts["prompt tokens of programs"].estimate == 132 * 10


def test_the_total_of_some_problems() -> None:
    seen = [("train", 2.0), ("train", 4.0), ("test", 1.0), ("test", 1.0), ("test", 1.0)]
    value, low, high = total({"train": 10, "test": 3}, seen)
    # 10 * 3 + 3; 10^2 * 2 / 2 * (1 - 2/10), one degree of freedom
    assert value == 33
    assert high - value == pytest.approx(12.706 * 80**0.5, rel=1e-3)
    assert low == 0
