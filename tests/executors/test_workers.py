"""Workers: lazy, replaced when they die, gone with their host; time that does not lie."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from funprm.errors import ExecutorError
from funprm.executors import protocol
from funprm.executors.grading.suites import PreparedSuite
from funprm.executors.inside import usage
from funprm.executors.local import dispatch, scratch, worker
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Status
from tests.executors.conftest import Judge, count_processes, functional, stdin, unittests

ADD = functional(*((str(i), str(i + 1)) for i in range(3)))
GOOD = "def f(x):\n    return x + 1  # {}"


def jobs(count: int) -> list[Job]:
    return [Job(key=str(i), code=GOOD.format(i), suite=ADD) for i in range(count)]


def test_jobs_are_read_only_as_fast_as_they_are_judged() -> None:
    read = 0

    def source() -> Iterator[Job]:
        nonlocal read
        for job in jobs(800):
            read += 1
            yield job

    with LocalExecutor(workers=1) as executor:
        verdicts = executor.judge(source())
        for number in range(1, 151):
            next(verdicts)
            assert read - number <= 2 * 128
        verdicts.close()  # type: ignore[attr-defined]
        assert count_processes() == 0
        assert next(iter(executor.judge(jobs(1)))).passed  # and again


def test_one_judge_at_a_time() -> None:
    with LocalExecutor(workers=1) as executor:
        verdicts = executor.judge(jobs(10))
        next(verdicts)
        with pytest.raises(ExecutorError, match="already"):
            next(executor.judge(jobs(1)))


def test_killed_workers_are_replaced() -> None:
    wanted = {job.key for job in jobs(200)}
    with LocalExecutor(workers=2) as executor:
        keys = set()
        for number, verdict in enumerate(executor.judge(jobs(200))):
            assert verdict.passed is True, verdict
            keys.add(verdict.key)
            if number in (50, 100):
                worker = executor._workers[0]
                threading.Thread(target=os.killpg, args=(worker.pid, signal.SIGKILL)).start()
        assert keys == wanted
    assert count_processes() == 0


def test_a_job_that_kills_its_workers_is_not_judged_and_no_other_suffers() -> None:
    killer = (
        "import resource\nresource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))\n"
        "def f(x):\n    return x + 1"
    )
    mixed = jobs(40)
    mixed.insert(20, Job(key="killer", code=killer, suite=ADD))
    with LocalExecutor(workers=2, disable=("seccomp",)) as executor:
        verdicts = {v.key: v for v in executor.judge(mixed)}
    assert verdicts.pop("killer").status is Status.NOT_JUDGED
    assert len(verdicts) == 40
    assert all(v.passed for v in verdicts.values())


HOST = """
import sys
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Case, Suite
suite = Suite(kind="stdin", cases=(Case(input="", output=""),), seconds=100)
slow = [Job(key=str(i), code="while True: pass", suite=suite) for i in range(4)]
with LocalExecutor(workers=2) as executor:
    executor._start()
    print(*(w.pid for w in executor._workers), flush=True)
    list(executor.judge(slow))
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_die_with_their_host(ending: signal.Signals) -> None:
    source = Path(__file__).parents[2] / "src"
    host = subprocess.Popen(
        [sys.executable, "-c", HOST],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert host.stdout is not None
    pids = [int(pid) for pid in host.stdout.readline().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 60
    while _belonging_to(host.pid) <= len(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _belonging_to(host.pid) > len(pids), "no program has started"
    host.send_signal(ending)
    host.wait(60)
    host.stdout.close()
    deadline = time.monotonic() + 60
    while _belonging_to(host.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _belonging_to(host.pid) == 0


def _belonging_to(pid: int) -> int:
    mark = f'"parent": {pid},'.encode()
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += mark in path.read_bytes()
        except OSError:
            continue
    return found


def test_only_processor_time_counts(judge: Judge) -> None:
    nap = "import time\ntime.sleep(0.6)\nprint('fine')"
    suite = stdin(("", "fine"), seconds=0.2)
    assert judge(nap, suite).passed is True
    spin = "import time\nwhile time.process_time() < 0.4: pass\nprint('fine')"
    assert judge(spin, suite).status is Status.TIME_LIMIT
    assert judge(spin, stdin(("", "fine"), seconds=2.0)).passed is True


WAITING = """
import os, threading, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
end = time.monotonic() + 3
def spin():
    while time.monotonic() < end: pass
for _ in range(2):
    if os.fork() == 0:
        spin()
        os._exit(0)
threading.Thread(target=spin).start()
print(flush=True)
time.sleep(100)
"""


def test_waiting_of_all_threads_is_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1)
        first = Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]
        assert usage.Processes(os.getpid()).waited() > 0.2 + int(first) / 1e9
    finally:
        process.kill()
        process.communicate()


def test_time_of_child_processes_counts(judge: Judge) -> None:
    test = "def test_f(self):\n    import subprocess, sys\n    subprocess.run("
    test += "[sys.executable, '-c', 'while True: pass'])"
    verdict = judge("", unittests(test, seconds=1.0))
    assert verdict.status is Status.TIME_LIMIT
    assert verdict.results[0].wall < 5 or verdict.results[0].cpu < 5


def test_each_case_has_its_own_time(judge: Judge) -> None:
    code = "import time\ndef f(x):\n    end = time.process_time() + 0.1\n"
    code += "    while time.process_time() < end: pass\n    return x + 1"
    cases = [(str(i), str(i + 1)) for i in range(4)]
    assert judge(code, functional(*cases, seconds=0.35)).passed is True
    slow = code.replace("+ 0.1", "+ (2 if x == 2 else 0)")
    verdict = judge(slow, functional(*cases, seconds=0.3), stop=False)
    statuses = [r.status for r in verdict.results]
    assert statuses == [Status.PASSED, Status.PASSED, Status.TIME_LIMIT, Status.PASSED]
    assert verdict.status is Status.TIME_LIMIT
    assert [r.index for r in judge(slow, functional(*cases, seconds=0.3)).results] == [0, 1, 2]


def test_an_interpreter_below_the_scratch_folder(tmp_path: Path) -> None:
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    code = "import os, sys\nopen('file', 'w').write('x')\nprint(sys.prefix)"
    with LocalExecutor(workers=1, python=str(home / "bin" / "python")) as executor:
        job = Job(key="a", code=code, suite=stdin(("", str(home))))
        (verdict,) = executor.judge([job])
    assert verdict.passed, verdict


def test_a_fault_of_the_sandbox_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count_processes()
    package = Path(worker.__file__).parents[2]
    shutil.copytree(package / "executors", tmp_path / "funprm" / "executors")
    (tmp_path / "funprm" / "__init__.py").write_text("")
    broken = tmp_path / "funprm" / "executors" / "inside" / "program.py"
    monkeypatch.setattr(worker, "_WORKER", broken.with_name("main.py"))
    with LocalExecutor(workers=1) as executor:
        assert all(verdict.passed for verdict in executor.judge(jobs(2)))
    answers = broken.with_name("answers.py")
    good = answers.read_text()
    answers.write_text(good.replace("def encode(", "def encode(nobody, gives, this, "))
    with (
        LocalExecutor(workers=1) as executor,
        pytest.raises(ExecutorError, match=r"correct functional program .* TypeError"),
    ):
        list(executor.judge(jobs(2)))
    answers.write_text(good)
    source = broken.read_text()
    broken.write_text(source.replace("    null = os.open(", "    null = nobody.open("))
    with LocalExecutor(workers=1) as executor, pytest.raises(ExecutorError, match="code 71"):
        list(executor.judge(jobs(2)))
    assert count_processes() == before


def test_folders_of_killed_hosts_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living = scratch.Scratch()
    left, young, other = (tmp_path / f"{scratch.PREFIX}{n}" for n in ("left", "young", "other"))
    for path in (left / "deep", young):
        path.mkdir(parents=True)
    other.symlink_to(tmp_path)
    for path in (left, Path(living.path), other):
        os.utime(path, (0, 0), follow_symlinks=False)
    assert scratch.sweep() == 1
    assert not left.exists()
    assert young.exists()
    assert other.is_symlink()
    assert Path(living.path).exists()
    living.remove()
    living.remove()
    assert not Path(living.path).exists()


def test_a_settled_program_is_stopped_wherever_its_failure_stands() -> None:
    results = [("output", "1", 0, 0), ("output", "no", 0, 0), ("output", "3", 0, 0)]
    suite = functional(*((str(i), str(i + 1)) for i in range(9)))
    for count in (2, 3):
        job = Job(key="a", code="", suite=suite)
        pending = dispatch._Pending(0, job, PreparedSuite(suite, 0, compat=False), 0)
        assert pending.take(0, 1.0, results[:count]) is True
        assert [r.status for r in pending.results] == [Status.PASSED, Status.WRONG_ANSWER]


def test_what_is_too_large_for_a_worker_is_not_judged_and_the_rest_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "MOST_BODY", 1 << 20)
    small = stdin(("1", "1"))
    large = stdin((" " * (2 << 20) + "1", "1"))
    code = "print(int(input()))"
    jobs = [
        Job(key="small", code=code, suite=small),
        Job(key="suite", code=code, suite=large),
        Job(key="program", code=code + "#" * (2 << 20), suite=small),
        Job(key="again", code=code + "#", suite=small),
        Job(key="suite again", code=code + "#", suite=large),
    ]
    with LocalExecutor(workers=1) as executor:
        verdicts = {v.key: v for v in executor.judge(jobs)}
    assert {key for key, v in verdicts.items() if v.passed} == {"small", "again"}
    for key in ("suite", "program", "suite again"):
        assert verdicts[key].status is Status.NOT_JUDGED
        assert "too large" in verdicts[key].detail
        assert "1048576 are allowed" in verdicts[key].detail
