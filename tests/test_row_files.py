import gzip
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from funprm.errors import ConfigError, InputError, RecordError, StoreError
from funprm.row_files import ending, read_rows, write_rows

ROWS: list[dict[str, Any]] = [
    {"prompt": "é\n", "completions": ["a", "b"], "labels": [1.0, 0.25]},
    {"prompt": "", "completions": ["c"], "labels": [0.0]},
]
needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="needs the package pyarrow"
)


def back(path: Path) -> list[Any]:
    return [row for _, row in read_rows(path, dict[str, Any])]


@pytest.mark.parametrize(
    "name",
    [
        "a.jsonl",
        "a.json",
        "a.jsonl.gz",
        "a.json.gz",
        pytest.param("a.parquet", marks=needs_pyarrow),
    ],
)
def test_tables_come_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    assert write_rows(path, iter(ROWS)) == 2
    assert back(path) == ROWS
    first = path.read_bytes()
    write_rows(path, ROWS)
    assert path.read_bytes() == first  # equal tables are equal files
    write_rows(path, [])
    assert back(path) == []
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_floats_stay_floats_in_json(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert lines[0].endswith('"labels":[1.0,0.25]}')
    write_rows(tmp_path / "a.json.gz", ROWS)
    assert json.loads(gzip.decompress((tmp_path / "a.json.gz").read_bytes())) == ROWS


@pytest.mark.parametrize("name", ["a", "a.csv", "a.gz", "a.parquet.gz", "a.jsonl.zip"])
def test_other_endings_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a name that ends in .jsonl, .json, .parquet"):
        write_rows(tmp_path / name, ROWS)
    with pytest.raises(ConfigError, match="expected a name"):
        ending(Path(name))


def test_a_failed_write_leaves_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_rows(path, ROWS)

    def rows() -> Any:
        yield ROWS[0]
        raise RecordError("bad row")

    with pytest.raises(RecordError):
        write_rows(path, rows())
    assert back(path) == ROWS
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(StoreError, match="cannot write"):
        write_rows(tmp_path / "absent" / "a.json", ROWS)


def test_rows_are_decoded_and_placed(tmp_path: Path) -> None:
    class Row(msgspec.Struct):
        prompt: str

    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a"}\n\n{"prompt": 1}\n')
    rows = read_rows(path, Row)
    assert next(rows) == (f"{path}:1", Row("a"))
    with pytest.raises(RecordError, match=r"a.jsonl:3: Expected `str`"):
        next(rows)
    (tmp_path / "empty.jsonl").write_text("")
    assert list(read_rows(tmp_path / "empty.jsonl", Row)) == []
    with pytest.raises(InputError, match="cannot read"):
        next(read_rows(tmp_path / "absent.jsonl", Row))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
def test_a_byte_order_mark_and_other_line_ends(name: str, tmp_path: Path) -> None:
    rows = [b'{"a": 1}', b'{"a": 2}']
    text = b"[" + b",".join(rows) + b"]" if name == "a.json" else b"\r\n".join(rows)
    data = b"\xef\xbb\xbf" + text + b"\r\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert [row for _, row in read_rows(tmp_path / name, dict[str, int])] == [{"a": 1}, {"a": 2}]


def test_rows_too_deep_to_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": ' + "[" * 100_000 + "\n")
    with pytest.raises(RecordError, match="a.jsonl:2: expected one JSON object"):
        list(read_rows(path, dict[str, Any]))


def test_parquet_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"need the package pyarrow.*funprm\[data\]"):
        write_rows(tmp_path / "a.parquet", ROWS)
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="need the package pyarrow"):
        back(tmp_path / "b.parquet")


@needs_pyarrow
def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(RecordError, match="b.parquet: no Parquet file"):
        back(path)
