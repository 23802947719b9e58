import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from funprm import row_files
from funprm.datasets import _files
from funprm.datasets.bigcodebench import BigCodeBenchDataset
from funprm.datasets.evalplus.humaneval import HumanEvalDataset
from funprm.datasets.evalplus.mbpp import MbppDataset
from funprm.datasets.leetcode import LeetCodeDataset
from funprm.errors import DataError, InputError
from funprm.records import Problem
from tests.datasets.official_files import bigcodebench, humaneval, leetcode, mbpp, write
from tests.shared_data import shared


def load_big(path: Path, *rows: dict[str, Any], **options: Any) -> list[Problem]:
    return list(BigCodeBenchDataset(path=write(path / "rows.jsonl", rows), **options).load())


def load_leetcode(path: Path, *rows: dict[str, Any], **options: Any) -> list[Problem]:
    return list(LeetCodeDataset(path=write(path / "leetcode.jsonl", rows), **options).load())


def test_a_bigcodebench_problem_is_judged_by_its_unit_tests(tmp_path: Path) -> None:
    (problem,) = load_big(tmp_path, bigcodebench())
    assert problem.hidden.kind == "unittest"
    assert "class TestCases" in problem.hidden.code
    assert (problem.hidden.seconds, problem.hidden.memory_mb) == (240.0, 4096)
    assert problem.hidden.prelude == "import math\ndef task_func(x):\n    pass\n"
    assert "docstring" in problem.statement
    assert problem.starter_code.endswith('"""Double x."""\n')
    scope: dict[str, Any] = {}
    exec(f"{problem.hidden.prelude}\n{problem.reference}", scope)
    assert scope["task_func"](2) == 4
    (problem,) = load_big(tmp_path, bigcodebench(), calibrated=False, prompt="instruct", seconds=9)
    assert (problem.hidden.prelude, problem.hidden.seconds) == ("", 9)
    assert problem.statement.startswith("Double x.\nYou should")
    assert problem.starter_code == ""


def test_tasks_are_chosen_by_the_packages_they_need(tmp_path: Path) -> None:
    rows = [
        bigcodebench(0),
        bigcodebench(1, libs=["numpy", "os"]),
        bigcodebench(2, test="import pandas as pd\nfrom a.b import c\nclass TestCases: ..."),
    ]
    chosen = {
        libraries: [p.problem_id[-1] for p in load_big(tmp_path, *rows, libraries=libraries)]
        for libraries in [None, (), ("numpy",), ("pandas", "a")]
    }
    assert chosen == {
        None: ["0", "1", "2"],
        (): ["0"],
        ("numpy",): ["0", "1"],
        ("pandas", "a"): ["0", "2"],
    }
    with pytest.raises(DataError, match="no problems of BigCodeBench that need only"):
        load_big(tmp_path, rows[1], libraries=())


def test_the_subset_is_a_file_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "BigCodeBench-Hard-v0.1.4.jsonl.gz", [bigcodebench(1)])
    write(tmp_path / "BigCodeBench-v0.1.4.jsonl.gz", [bigcodebench(2)])
    for subset, expected in (("hard", "BigCodeBench/1"), ("full", "BigCodeBench/2")):
        data = BigCodeBenchDataset(path=str(tmp_path), subset=subset)  # type: ignore[arg-type]
        assert [problem.problem_id for problem in data.load()] == [expected]
    (tmp_path / "BigCodeBench-v0.1.4.jsonl.gz").unlink()
    with pytest.raises(InputError, match="no file of the full set in"):
        list(BigCodeBenchDataset(path=str(tmp_path)).load())


def test_a_bigcodebench_problem_without_test_cases_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rows.jsonl:1: problem 'BigCodeBench/0' has no tests"):
        load_big(tmp_path, bigcodebench(test=""))


def test_a_leetcode_problem_shows_its_first_example(tmp_path: Path) -> None:
    (problem,) = load_leetcode(tmp_path, leetcode())
    assert problem.hidden.kind == "check"
    assert problem.hidden.entry_point == "Solution().add"
    assert problem.hidden.prelude == "from typing import *\n"
    assert problem.difficulty == "medium"
    assert problem.statement == 'Add one.\n\nInput: xs = [1], flag = true, s = "null"\nOutput: [2]'
    assert problem.starter_code.startswith("class Solution:")
    assert problem.public is not None
    assert problem.public.kind == "functional"
    assert problem.public.entry_point == "add"
    assert [(c.input, c.output) for c in problem.public.cases] == [('[1]\ntrue\n"null"', "[2]")]
    (problem,) = load_leetcode(tmp_path, leetcode(), shown=2)
    assert problem.public is not None
    assert len(problem.public.cases) == 2
    (problem,) = load_leetcode(tmp_path, leetcode(), shown=0)
    assert problem.public is None
    assert problem.statement == "Add one."


def test_the_fields_of_leetcodedataset(tmp_path: Path) -> None:
    row = leetcode(
        problem_description="Whole text. Input: ...",
        starter_code="class Solution:\n    def add(self, root: Optional[TreeNode]):\n        ",
        difficulty="Hard",
        estimated_date="2024-08-01",
    )
    (problem,) = load_leetcode(tmp_path, row)
    assert problem.statement == "Whole text. Input: ..."
    assert (problem.difficulty, problem.date) == ("hard", "2024-08-01")
    assert problem.public is None, "a list in an example may stand for a tree"


def test_examples_that_are_not_understood_are_left_out(tmp_path: Path) -> None:
    for example in (
        {"input": "xs = [1], flag = maybe, s = 1", "output": "1"},
        {"input": "flag = true, xs = [1], s = 1", "output": "1"},
        {"input": "xs = [1], flag = true, s = 1", "output": "one"},
    ):
        (problem,) = load_leetcode(tmp_path, leetcode(examples=[example]))
        assert problem.public is None
    (problem,) = load_leetcode(tmp_path, leetcode(meta={"lang_code": "class Solution"}))
    assert problem.public is None


def test_a_leetcode_problem_without_check_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leetcode.jsonl:1: problem 'add' has no tests"):
        load_leetcode(tmp_path, leetcode(test="assert True"))


def test_real_bigcodebench_hard() -> None:
    path = str(shared("bigcodebench_hard.jsonl.gz"))
    sizes = {
        libraries: sum(1 for _ in BigCodeBenchDataset(path=path, libraries=libraries).load())
        for libraries in (None, (), ("numpy", "pandas"))
    }
    assert sizes == {None: 148, (): 33, ("numpy", "pandas"): 51}


def test_real_leetcode_references_pass() -> None:
    problems = list(LeetCodeDataset(path=str(shared("leetcode.jsonl.gz"))).load())
    assert len(problems) == 200
    assert sum(problem.public is None for problem in problems) < 10
    for problem in problems[::5]:
        scope: dict[str, Any] = {}
        exec(f"{problem.hidden.prelude}\n{problem.reference}\n{problem.hidden.code}", scope)
        scope["check"](eval(problem.hidden.entry_point, scope))


def test_the_hub_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        InputError, match=r"not installed: download data/v0.1.4-\*.parquet from hugg"
    ):
        list(BigCodeBenchDataset().load())


@pytest.mark.parametrize("reason", ["no such host\nat all", ""])
def test_the_hub_without_an_answer(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    def snapshot_download(*_: object, **__: object) -> str:
        raise OSError(reason)

    library = ModuleType("huggingface_hub")
    monkeypatch.setattr(library, "snapshot_download", snapshot_download, raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    with pytest.raises(InputError, match=r"gave nothing \((no such host|OSError)\): download"):
        list(LeetCodeDataset().load())


@pytest.mark.parametrize(
    ("dataset", "options", "repository", "row"),
    [
        (BigCodeBenchDataset, {}, "bigcode/bigcodebench", bigcodebench()),
        (BigCodeBenchDataset, {"subset": "hard"}, "bigcode/bigcodebench-hard", bigcodebench()),
        (LeetCodeDataset, {}, "newfacade/LeetCodeDataset", leetcode()),
        (HumanEvalDataset, {}, "openai/openai_humaneval", humaneval()),
        (HumanEvalDataset, {"version": "plus"}, "evalplus/humanevalplus", humaneval()),
        (MbppDataset, {}, "google-research-datasets/mbpp", mbpp()),
        (MbppDataset, {"version": "sanitized"}, "google-research-datasets/mbpp", mbpp()),
        (MbppDataset, {"version": "plus"}, "evalplus/mbppplus", mbpp()),
    ],
)
def test_benchmarks_come_from_the_hub_or_from_a_copy_of_it(
    dataset: Any,
    options: dict[str, str],
    repository: str,
    row: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def download(asked: str, patterns: Any, remedy: str) -> Path:
        assert asked == repository
        assert asked in remedy
        for pattern in patterns:
            file = tmp_path / pattern.replace("*", "00000-of-00001")
            file.parent.mkdir(exist_ok=True)
            write(file, [row])
        return tmp_path

    monkeypatch.setattr(_files, "download", download)
    # Files of JSON under the name of a Parquet file: what is tested is the way to them.
    monkeypatch.setattr(row_files, "_parquet_rows", row_files._lines)
    found = [problem.problem_id for problem in dataset(**options).load()]
    assert found
    copied = dataset(path=str(tmp_path), **options).load()
    assert [problem.problem_id for problem in copied] == found
