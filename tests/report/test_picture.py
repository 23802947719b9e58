from dataclasses import replace
from pathlib import Path

import pytest

from funprm.errors import DataError
from funprm.report.data import ReportData
from funprm.report.picture import write_picture


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_the_picture_is_written_and_repeats(
    data: ReportData, tmp_path: Path, suffix: str, start: bytes
) -> None:
    plain = replace(data, title="A run at $3 or $4")
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        write_picture(plain, path)
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(start)
    assert first == second


def test_what_cannot_be_drawn_is_refused(data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ends in .png or .svg"):
        write_picture(data, tmp_path / "picture.gif")
    with pytest.raises(DataError, match="no best-of-N curves"):
        write_picture(replace(data, curves=()), tmp_path / "picture.png")
