"""What is shown while answers are written."""

import io

import pytest

from funprm.console import PlainProgress, Speed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("funprm.console.time.monotonic", lambda: now[0])
    return now


def test_speed_and_time_left(clock: list[float]) -> None:
    speed = Speed(total=10, done=2)
    assert speed.text() == ""
    clock[0] += 10
    speed.write(100, 100)
    assert (speed.text(), speed.begun) == ("10 tokens/s", 0.0)
    speed.write(100, 50)
    speed.end(3)
    # 150 tokens made 3 answers; 5 are missing, and one of them is written: 200 tokens.
    assert (speed.text(), speed.begun) == ("20 tokens/s, 10 s left", 1.0)


def test_no_time_is_said_where_the_first_answers_were_short(clock: list[float]) -> None:
    speed = Speed(total=10)
    speed.write(100, 90)
    speed.end(1)
    clock[0] += 10.0
    assert speed.text() == "10 tokens/s"


def test_plain_lines_move_with_tokens(clock: list[float]) -> None:
    """A line comes before the first answer is whole."""
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.start("generate", 8)
    clock[0] += 11
    progress.tokens(22, 22)
    progress.tokens(22, 44)
    assert stream.getvalue() == "generate  0/8 after 11 s, 2.0 tokens/s\n"
