from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funprm.disk import write_atomically
from funprm.errors import RecordError, StoreError
from funprm.records import CaseResult, Generation, Status, Steps, Verdict, key_of
from funprm.store import RecordFile, RunFolder, read_records


def steps(name: str) -> Steps:
    return Steps(key=name, ends=(3, 7), names=("f", ""))


def test_records_survive_the_round_trip(tmp_path: Path) -> None:
    verdict = Verdict(
        key="a",
        status=Status.WRONG_ANSWER,
        results=(CaseResult(index=2, status=Status.WRONG_ANSWER, digest="d"),),
        total=3,
    )
    with RecordFile(tmp_path / "verdicts.jsonl", Verdict) as file:
        file.append(verdict)
    assert list(read_records(tmp_path / "verdicts.jsonl", Verdict)) == [verdict]


@given(code=st.text())
def test_any_program_text_survives(tmp_path_factory: pytest.TempPathFactory, code: str) -> None:
    path = tmp_path_factory.mktemp("store") / "generations.jsonl"
    record = Generation(key="k", problem_id="p", index=0, code=code)
    with RecordFile(path, Generation) as file:
        file.append(record)
    assert list(read_records(path, Generation)) == [record]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_dropped_and_written_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "steps.jsonl"
    with RecordFile(path, Steps) as file:
        file.append(steps("a"), steps("b"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert [s.key for s in read_records(path, Steps)] == ["a"]
    with RecordFile(path, Steps) as file:
        file.append(steps("b"))
    assert [s.key for s in read_records(path, Steps)] == ["a", "b"]


def test_a_corrupt_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    with RecordFile(path, Steps) as file:
        file.append(steps("a"), steps("b"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"key": 3}\n' + lines[1])
    with pytest.raises(RecordError, match=r"steps\.jsonl:2: not a Steps record"):
        list(read_records(path, Steps))


def test_a_full_device_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    file = RecordFile(Path("/dev/full"), Steps)
    file._file = Path("/dev/full").open("wb", buffering=0)
    with pytest.raises(StoreError, match="no space left"):
        file.append(steps("a"))
    file._file.close()


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    with RunFolder(tmp_path, {"policy": {"temperature": 1.0}, "seed": 0}):
        pass
    with pytest.raises(StoreError, match=r"policy\.temperature was 1\.0, now 0\.5"):
        RunFolder(tmp_path, {"policy": {"temperature": 0.5}, "seed": 0})


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path, {"seed": 0}),
        pytest.raises(StoreError, match="in use by another process"),
    ):
        RunFolder(tmp_path, {"seed": 0})


def test_completion_is_remembered(tmp_path: Path) -> None:
    with RunFolder(tmp_path, {"seed": 0}) as folder:
        assert folder.complete("load") is None
        folder.mark_complete("load", {"problems": 3})
    with RunFolder(tmp_path, {"seed": 0}) as folder:
        assert folder.complete("load") == {"problems": 3}


def test_a_failed_atomic_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_atomically(path, b"old")
    with pytest.raises(StoreError):
        write_atomically(tmp_path / "absent" / "x", b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_keys_do_not_depend_on_the_order_of_settings() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of("ab", "c") != key_of("a", "bc")
    assert len(key_of(1)) == 32
