"""Nothing that programs say hangs, ends or misleads the judge; nothing that is large blocks it."""

import os
import random
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from funprm.executors import protocol
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Case, Status, Suite, Verdict
from tests.executors import hostile
from tests.executors.conftest import count_processes

# --- what is said ------------------------------------------------------------------------------


def _fuzz(seed: int, count: int, frames: int) -> None:
    before = count_processes()
    expected = {}

    def source() -> Iterable[Job]:
        for job, verdict in hostile.jobs(seed, count, frames):
            expected[job.key] = verdict
            yield job

    seen: Counter[str] = Counter()
    with LocalExecutor(workers=2) as executor:
        executor._start()
        workers = {worker.pid for worker in executor._workers}
        longest = last = time.monotonic()
        longest -= last
        for verdict in executor.judge(source()):
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            seen[verdict.key] += 1
            assert verdict.status is not Status.NOT_JUDGED, verdict
            honest = expected[verdict.key]
            assert verdict.passed is (False if honest is None else honest), verdict
        assert {worker.pid for worker in executor._workers} == workers  # none was lost
    assert seen == Counter(expected.keys())
    assert count_processes() == before


def test_frames_of_hostile_programs_harm_nobody() -> None:
    _fuzz(seed=1, count=60, frames=10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_frames_of_hostile_programs_harm_nobody() -> None:
    _fuzz(seed=2, count=2000, frames=20)  # 20,000 frames


def test_no_bytes_break_the_readers() -> None:
    source = random.Random(3)
    for _ in range(2000):
        reader = protocol.Records()
        try:
            for _ in range(5):
                for letter, cpu, wall, text in reader.take(hostile._frame(source)):
                    assert letter in protocol.RECORDS
                    assert max(cpu, wall) < 2**32
                    assert len(text) <= protocol.MOST_RECORD
        except protocol.ProtocolError:
            pass


@pytest.mark.parametrize(
    "header",
    [
        "no list",
        [],
        [1],
        ["unknown", 1],
        ["end"],
        ["end", "1"],
        ["end", True],
        ["end", 10**400],
        ["cases", 1, -1, 0.0, []],
        ["cases", 1, 0, float("inf"), []],
        ["cases", 1, 0, 0.0, [["output", 1, 2]]],
        ["cases", 1, 0, 0.0, [["fine", 1, 2, 3]]],
        ["cases", 1, 0, 0.0, [["output", 1, 10**400, 3]]],
    ],
)
def test_a_frame_with_a_wrong_field_is_none(header: object) -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.checked(header, protocol.TO_HOST)


def test_texts_must_be_as_long_as_reports_say() -> None:
    assert protocol.texts([["output", 1, 0, 0], ["error", 2, 0, 0]], b"abc") == ["a", "bc"]
    with pytest.raises(protocol.ProtocolError):
        protocol.texts([["output", 4, 0, 0]], b"abc")


# --- what is large -----------------------------------------------------------------------------


def _large(count: int, size: int, answer: int) -> list[Job]:
    jobs = []
    for number in range(count):
        marks = [f"{number}-{case}" for case in range(2)]
        cases = tuple(
            Case(input=f"{m} " + "x" * size, output=f"{m} " + "y" * answer) for m in marks
        )
        code = f"print(input().split()[0] + ' ' + 'y' * {answer})"
        suite = Suite(kind="stdin", seconds=20.0, cases=cases)
        jobs.append(Job(key=str(number), code=code, suite=suite))
    return jobs


def test_large_inputs_and_outputs_do_not_block() -> None:
    with LocalExecutor(workers=2) as executor:
        verdicts = list(executor.judge(_large(60, 100_000, 200_000)))
    assert len(verdicts) == 60
    assert all(v.passed for v in verdicts)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [100 << 10, 1 << 20, 15 << 20])
@pytest.mark.parametrize("answer", [100 << 10, 1 << 20, 15 << 20])
def test_all_sizes_of_inputs_and_outputs(workers: int, size: int, answer: int) -> None:
    count = 6 if max(size, answer) > 1 << 20 else 60
    with LocalExecutor(workers=workers) as executor:
        verdicts = list(executor.judge(_large(count, size, answer)))
    assert [v.passed for v in verdicts] == [True] * count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{workers} workers, {size >> 10} and {answer >> 10} KiB: host peak {peak} MiB")  # noqa: T201


# --- who dies ----------------------------------------------------------------------------------

_FAST = (
    "import os\nwhile True: os.fork()",
    "import os\nos._exit(0)",
    "import os\nos.kill(os.getpid(), 9)",
    "import os\nos.abort()",
    "import ctypes\nctypes.string_at(0)",
    "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "import os\nos.makedirs('a/b/c/d')\nos.chmod('a/b', 0)\nos.chmod('.', 0)",
    "import os\nos.closerange(0, 256)",
    "import os\nos.write(3, bytes(range(11, 256)) * 100 + b'\\n')",
    "import sys\nsys.setrecursionlimit(10**9)\ndef g(): g()\ng()",
    "import os\nfor s in range(1, 65):\n    try: os.kill(-1, s)\n    except OSError: pass",
    "import os\nfor s in range(1, 65):\n    try: os.kill(1, s)\n    except OSError: pass",
    "print('x' * (1 << 20))\nprint(chr(0) * 1000)",
    "import os\nos.kill(os.getpid(), 35)",
    "import os\nos.mkdir('.1'); open('.1/z', 'w').close(); os.mkdir('a'); open('a/x', 'w').close()",
    "import ctypes\nctypes.CDLL(None).prctl(15, b'\\xff\\xfe) x')",
    "import os\nwhile True: os.write(3, b'\\n')",
    "import sys\nsys.stdout.write('01 ' * (1 << 18))",
    "def f(x):\n    return [[]] * (1 << 18)",
    "def f(x):\n    return 10 ** 6000",
)
_SLOW = (
    "import time\ntime.sleep(100)",
    "while True: pass",
    "import os\nwhile True: os.write(1, b'x')",
    "import os\nos.kill(os.getpid(), 19)",
)


def _mixture(seed: int, count: int, slow: int) -> Iterable[tuple[Job, bool | None]]:
    source = random.Random(seed)
    suites = dict(hostile._HOSTILE)
    for number in range(count):
        kind = source.choice(("stdin", "functional"))
        if source.random() < 0.2:
            code = source.choice(_FAST if number % slow else _SLOW)
            suite = suites[kind]
            yield Job(key=f"hostile {number}", code=f"{code}\n# {number}", suite=suite), None
        else:
            wrong = source.randrange(2)
            code = hostile._HONEST[kind].format(wrong=wrong, number=number)
            suite = hostile.SUITES[kind]
            yield Job(key=f"honest {number}", code=code, suite=suite), not wrong


def _victim(executor: LocalExecutor, source: random.Random) -> int:
    """A worker, its zygote, its program, or a worker that is being started."""
    pid = source.choice(executor._workers).pid
    for _ in range(source.randrange(3)):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pid = int(children[0]) if children else pid
    return pid


def _kill_now_and_then(
    executor: LocalExecutor, stop: threading.Event, seconds: float, kills: list[int]
) -> None:
    source = random.Random(4)
    while not stop.wait(seconds * (0.5 + source.random())):
        try:
            os.kill(_victim(executor, source), signal.SIGKILL)
            kills.append(1)
        except (OSError, IndexError):
            pass


def _soak(count: int, workers: int, seconds: float, slow: int) -> tuple[int, list[Verdict]]:
    before, files = count_processes(), len(os.listdir("/proc/self/fd"))
    expected: dict[str, bool | None] = {}

    def jobs() -> Iterable[Job]:
        for job, verdict in _mixture(5, count, slow):
            expected[job.key] = verdict
            yield job

    kills: list[int] = []
    stop = threading.Event()
    with LocalExecutor(workers=workers) as executor:
        executor._start()
        arguments = (executor, stop, seconds, kills)
        killer = threading.Thread(target=_kill_now_and_then, args=arguments, daemon=True)
        killer.start()
        verdicts = list(executor.judge(jobs()))
        stop.set()
        killer.join()
    assert Counter(v.key for v in verdicts) == Counter(expected.keys())
    wronged = [v for v in verdicts if expected[v.key] not in (None, v.passed)]
    assert wronged == []
    assert [v for v in verdicts if expected[v.key] is None and v.passed] == []
    assert count_processes() == before
    assert len(os.listdir("/proc/self/fd")) == files
    return len(kills), verdicts


def test_whoever_is_killed_all_honest_verdicts_are_right() -> None:
    kills, _ = _soak(count=120, workers=2, seconds=0.4, slow=1000)
    assert kills


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("workers", [2, 1, 16])
def test_whoever_is_killed_in_20_000_jobs(workers: int) -> None:
    kills, verdicts = _soak(count=20_000, workers=workers, seconds=1.0, slow=300)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    counts = Counter(v.status.value for v in verdicts)
    print(f"{workers} workers: {kills} kills, {dict(counts)}, host peak {peak} MiB")  # noqa: T201
