import importlib.util
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funprm.formats.stepwise import corrected, measured, rows
from funprm.records import LabelledProgram
from funprm.row_files import write_rows


def program(evidence: list[tuple[int, int]]) -> LabelledProgram:
    numbers = range(len(evidence))
    return LabelledProgram(
        generation="g",
        problem_id="p",
        statement="Do.",
        steps=tuple(f"def f{i}(): ...\n" for i in numbers),
        prefixes=tuple(f"prefix{i}" for i in numbers),
        k=tuple(k for k, _ in evidence),
        n=tuple(n for _, n in evidence),
    )


def test_labels_are_shares_not_booleans() -> None:
    (row,) = rows([program([(3, 4), (0, 4), (1, 1)])], measured)
    assert row == {
        "prompt": "Do.",
        "completions": ["def f0(): ...\n", "def f1(): ...\n", "def f2(): ...\n"],
        "labels": [0.75, 0.0, 1.0],
    }
    assert all(type(label) is float for label in row["labels"])


def test_corrected_rewards_stand_in_for_measured_ones() -> None:
    label = corrected({"prefix0": 0.5, "prefix1": 0.125, "elsewhere": 0.9})
    (row,) = rows([program([(3, 4), (0, 0), (1, 1)])], label)
    assert row["labels"] == [0.5, 1.0]  # what was not measured gets no label


def test_a_program_keeps_its_verdict_where_another_one_begins_with_it() -> None:
    label = corrected({"prefix0": 0.5, "prefix1": 0.125})
    (row,) = rows([program([(3, 4), (1, 1)])], label)
    assert row["labels"] == [0.5, 1.0]


def test_steps_without_evidence_join_the_next_one() -> None:
    (row,) = rows([program([(0, 0), (1, 2), (0, 0), (0, 0)])], measured)
    assert row["completions"] == ["def f0(): ...\ndef f1(): ...\n"]
    assert row["labels"] == [0.5]
    assert list(rows([program([(0, 0)])], measured)) == []


@given(st.lists(st.integers(0, 4).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))))
def test_completions_are_the_beginning_of_the_program(evidence: list[tuple[int, int]]) -> None:
    given_program = program(evidence)
    for row in rows([given_program], measured):
        assert len(row["completions"]) == len(row["labels"])
        assert "".join(given_program.steps).startswith("".join(row["completions"]))
        assert all(0.0 <= label <= 1.0 for label in row["labels"])


def test_json_has_the_types_that_readers_infer_by(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", rows([program([(0, 4), (1, 1)])], measured))
    line = (tmp_path / "a.jsonl").read_text()
    assert '"labels":[0.0,1.0]' in line  # 0 and 1 would be read as integers
    assert set(json.loads(line)) == {"prompt", "completions", "labels"}


@pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None or importlib.util.find_spec("pyarrow") is None,
    reason="needs the packages datasets and pyarrow",
)
@pytest.mark.parametrize(("kind", "name"), [("json", "a.jsonl"), ("parquet", "a.parquet")])
def test_the_datasets_library_reads_what_is_exported(kind: str, name: str, tmp_path: Path) -> None:
    write_rows(tmp_path / name, rows([program([(3, 4), (1, 1)]), program([(0, 1)])], measured))
    script = f"""
        from datasets import List, Value, load_dataset

        table = load_dataset({kind!r}, data_files={name!r}, split="train", cache_dir="cache")
        assert table.features["labels"] == List(Value("float64")), table.features
        assert table.features["completions"].feature.dtype in ("string", "large_string")
        assert table["labels"][0] == [0.75, 1.0]
        assert table["labels"][1] == [0.0]
        assert table.column_names == ["prompt", "completions", "labels"]
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        check=True,
        timeout=100,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
    )
