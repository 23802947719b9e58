"""Programs that write seeded nonsense to the judge, and honest ones among them."""

import random
import struct
from collections.abc import Iterator

from funprm.interfaces import Job
from tests.executors.conftest import functional, stdin

_LETTERS = b"oqmeExacpl"
_PAIRS = tuple((str(n), str(n * n)) for n in range(3))
SUITES = {
    "stdin": stdin(*_PAIRS, seconds=20.0),
    "functional": functional(*_PAIRS, seconds=20.0),
}
_HOSTILE = {
    "stdin": stdin(*((i, "no") for i, _ in _PAIRS), seconds=0.5, memory_mb=256),
    "functional": functional(*((i, '"no"') for i, _ in _PAIRS), seconds=0.5, memory_mb=256),
}
_HONEST = {
    "stdin": "print(int(input()) ** 2 + {wrong})  # {number}",
    "functional": "def f(x):\n    return x * x + {wrong}  # {number}",
}


def _frame(source: random.Random) -> bytes:
    """A record, most often a broken one."""
    text = source.choice(
        (
            b"",
            b"1",
            source.randbytes(source.randrange(200)),
            b"[" * source.randrange(3000),
            b"9" * source.randrange(6000),
            b'{"a":' * source.randrange(500),
            b"NaN",
            b'"\\ud800"',
            b"\n" * source.randrange(20),
        )
    )
    size = source.choice((len(text), len(text), 0, 2**31, 2**32 - 1, len(text) + 1))
    times = (source.choice((0, 1, 2**32 - 1)), source.choice((0, 2**31)))
    frame = struct.pack("<cIII", bytes([source.choice(_LETTERS)]), *times, size) + text
    what = source.random()
    if what < 0.2:
        return source.randbytes(source.randrange(1, 60))
    return frame[: source.randrange(1, len(frame))] if what < 0.3 else frame


def stream(source: random.Random, frames: int) -> str:
    """A program that writes some frames, and then ends in one way or another."""
    data = [_frame(source) for _ in range(frames)]
    end = source.choice(("os._exit(0)", "pass", "os._exit(3)", "os.close(3)", "raise SystemExit"))
    where = source.choice((3, 3, 3, 1))
    lines = f"import os\nfor part in {data!r}:\n    os.write({where}, part)\n{end}\n"
    if source.random() < 0.5:
        return lines + "def f(x):\n    return x\n"
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    return f"def f(x):\n{body}\nif __name__ == '__main__':\n    f(0)\n"


def jobs(seed: int, count: int, frames: int) -> Iterator[tuple[Job, bool | None]]:
    """Jobs, one in two hostile, with the verdict that honest ones must get (hostile: None)."""
    source = random.Random(seed)
    for number in range(count):
        kind = source.choice(("stdin", "functional"))
        if number % 2:
            wrong = source.randrange(2)
            code = _HONEST[kind].format(wrong=wrong, number=number)
            yield Job(key=f"honest {number}", code=code, suite=SUITES[kind]), not wrong
        else:
            code = stream(source, frames)
            yield Job(key=f"hostile {number}", code=code, suite=_HOSTILE[kind]), None
