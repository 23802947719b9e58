import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import funprm
from funprm.cli import main
from funprm.commands.compare import compare
from funprm.errors import ConfigError, DataError, InputError
from funprm.evaluation.statistics import mcnemar
from funprm.records import Problem, Selection
from funprm.store import write_records

BASE = [True] * 4 + [False] * 16
GOOD = [True] * 12 + [False] * 8


def saved(folder: Path, first: int = 0, text: str = "", **solved: Sequence[bool | None]) -> str:
    """A run folder with problems, and what its selectors chose."""
    folder.mkdir()
    count = max(map(len, solved.values()))
    problems = [
        Problem.of(f"Do {i}.{text}", examples=[("", "")], problem_id=f"p{i}")
        for i in range(first, first + count)
    ]
    write_records(folder / "problems.jsonl", problems)
    rows = [
        Selection(
            key=f"{name} {i}",
            selector=name.replace("__", ":"),
            problem_id=problem.problem_id,
            n=8,
            generation="",
            passed=passed,
        )
        for name, column in solved.items()
        for i, (problem, passed) in enumerate(zip(problems, column, strict=False))
    ]
    write_records(folder / "selections.jsonl", rows)
    return str(folder)


def test_runs_are_compared_selector_by_selector(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", random=[False] * 20, score__x=BASE, majority=BASE)
    b = saved(tmp_path / "b", random=[False] * 20, score__x=GOOD)
    found = compare([a, b])
    assert [[side.selector for side in group.sides] for group in found.groups] == [
        ["random", "random"],
        ["score:x", "score:x"],
    ]
    first, second = found.groups[1].sides
    assert (first.run, first.solved, first.test) == ("a", 4, None)
    assert (second.run, second.solved, second.test) == ("b", 12, mcnemar(GOOD, BASE))
    assert second.difference is not None
    assert second.difference.estimate == pytest.approx(0.4)
    assert second.test is not None
    assert second.adjusted == pytest.approx(2 * second.test.p)  # two tests are shown
    assert found.groups[1].resolution is not None
    assert found.groups[1].resolution.discordant == pytest.approx(0.4)


def test_only_common_and_judged_problems_count(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", random=[True] * 12)
    b = saved(tmp_path / "b", first=2, random=[None, *[False] * 13])
    group = compare([a, b]).groups[0]
    assert group.problems == 9
    assert group.left_out == {"a": 3, "b": 5}
    assert "9 problems in common (left out: 3 of a, 5 of b)" in compare([a, b]).text()


def test_selectors_of_one_run_are_compared(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", random=BASE, score__x=GOOD, score__y=GOOD)
    found = compare([f"{a}@random", f"{a}@score:x", f"{a}@score:y"])
    (group,) = found.groups
    assert [side.selector for side in group.sides] == ["random", "score:x", "score:y"]
    assert [side.run for side in group.sides] == ["a"] * 3
    assert compare([a, a], ["score:x"]).groups[0].sides[0].selector == "score:x"


def test_problems_that_have_changed_are_told(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", random=BASE)
    b = saved(tmp_path / "b", text=" Quickly.", random=BASE)
    assert compare([a, b]).changed == {"b": 20}
    assert "b: 20 problems have other texts or tests" in compare([a, b]).text()


def test_the_command_prints_a_table_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = saved(tmp_path / "a", random=BASE), saved(tmp_path / "b", random=GOOD)
    assert main(["compare", a, b]) == 0
    text = capsys.readouterr().out
    row = next(" ".join(line.split()) for line in text.splitlines() if "12/20" in line)
    assert row.startswith("One sample b 8 12/20 60.0 [")
    assert row.endswith("8 / 0 0.0078 0.0078")
    assert "20 problems can show differences of" in text
    assert main(["compare", a, b, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(funprm.compare([a, b]).json()))
    side = found["groups"][0]["sides"][1]
    assert side["test"] == {"p": 0.0078125, "only_first": 8, "only_second": 0}
    assert side["difference"]["estimate"] == pytest.approx(0.4)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", random=BASE)
    b = saved(tmp_path / "b", majority=BASE)
    c = saved(tmp_path / "c", first=50, random=BASE)
    with pytest.raises(ConfigError, match="one run: expected two"):
        compare([a])
    with pytest.raises(InputError, match="no choices in"):
        compare([a, str(tmp_path)])
    with pytest.raises(ConfigError, match="no selector in common .a: random; b: majority."):
        compare([a, b])
    with pytest.raises(ConfigError, match="did you mean 'random'"):
        compare([f"{a}@rando", f"{b}@majority"])
    with pytest.raises(ConfigError, match="names a selector, and others do not"):
        compare([f"{a}@random", b])
    with pytest.raises(DataError, match="no problem is in all of a, c"):
        compare([a, c])
