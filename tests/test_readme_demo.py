"""The README's demo block is written by a script, which names the machine."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme_demo", ROOT / "scripts/readme_demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_block_names_the_machine_and_leaves_out_what_is_under_way(script: ModuleType) -> None:
    printed = (
        "load      10 problems  (0.1 s)\ntrain     40/90 after 12 s\n"
        "train     60/90 after 22 s, 8 tokens/s, 9 s left\ntrain     12 after 9 s\n"
        "train     4 models: orm  (30.0 s)\n\nFunPRM demo\nreport: /tmp/x/demo/report.html\n"
    )
    block = script.block(printed, "a processor, 2 cores", "/tmp/x/demo")
    assert block.startswith("On a processor, 2 cores. Elsewhere")
    assert block.endswith(
        "```text\nload      10 problems  (0.1 s)\ntrain     4 models: orm  (30.0 s)\n\n"
        "FunPRM demo\nreport: runs/demo/report.html\n```\n"
    )
    assert "torch" in script.machine()


def test_the_table_is_that_of_the_summary(script: ModuleType) -> None:
    accuracy = {"low": 0.806, "estimate": 0.83, "high": 0.853}
    rows = [
        {"selector": "random", "n": 1, "problems": 1000, "accuracy": accuracy},
        {"selector": "majority", "n": 8, "problems": 1000, "accuracy": accuracy},
        {"selector": "score:funprm", "n": 8, "problems": 1000, "accuracy": accuracy},
    ]
    assert script.table({"table": rows}).splitlines() == [
        "| choice among 8 programs | solved, % of 1,000 | 95 % interval |",
        "|---|---|---|",
        "| One sample | 83.0 | 80.6 to 85.3 |",
        "| FunPRM | 83.0 | 80.6 to 85.3 |",
    ]


@pytest.mark.parametrize("name", ["demo", "table"])
def test_a_page_has_one_place_for_each_piece(script: ModuleType, name: str) -> None:
    page = script.PAGES[name].read_text()
    changed = script.replaced(page, name, r"a \1 b" + "\n")
    assert f"<!-- {name} -->\n" + r"a \1 b" + f"\n<!-- /{name} -->" in changed
    assert changed.startswith(page.partition(f"<!-- {name} -->")[0])
    assert changed.endswith(page.partition(f"<!-- /{name} -->")[2])
    with pytest.raises(ValueError, match="one pair of marks"):
        script.replaced("no marks", name, "")
