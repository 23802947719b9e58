"""The programs in `attacks/`, run by a judge: which of them get through, and whom they harm.

    python -m tests.executors.attack_files [--write]

judges them with each layer off and prints what does not hold then; `--write` puts it into
docs/judging.md. Run it on a machine that offers all layers.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from funprm.executors.inside.isolation import LAYERS
from funprm.executors.local.executor import LocalExecutor
from funprm.interfaces import Job
from funprm.records import Status
from tests.executors.conftest import check as check_suite
from tests.executors.conftest import functional, stdin, unittests

FOLDER = Path(__file__).parent / "attacks"
DOCS = Path(__file__).parents[2] / "docs" / "judging.md"
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"
_LIMITS = {"seconds": 0.5, "memory_mb": 256}
PAIRS = (("1", "42"), ("2", "17"), ("3", "99"))
SUITES = {
    "stdin": stdin(*PAIRS, **_LIMITS),
    "functional": functional(*PAIRS, **_LIMITS),
    "check": check_suite("\n".join(f"assert candidate({i}) == {o}" for i, o in PAIRS), **_LIMITS),
    "unittest": unittests(
        "def test_f(self):\n" + "\n".join(f"    self.assertEqual(f({i}), {o})" for i, o in PAIRS),
        **_LIMITS,
    ),
}
NOT_TRIED = {"limits": {"check_flood", "first_thread_ended"}}
"""What nothing would stop without a layer, and the machine that runs the tests might suffer."""


@dataclass(frozen=True)
class Attack:
    """One file."""

    name: str
    kinds: tuple[str, ...]
    about: str
    code: str


def attacks() -> list[Attack]:
    """All of them."""
    return [_read(path) for path in sorted(FOLDER.glob("*.py"))]


def _read(path: Path) -> Attack:
    code = path.read_text()
    kinds, about = (line.removeprefix("# ") for line in code.splitlines()[:2])
    return Attack(path.stem, tuple(kinds.removeprefix("kinds: ").split()), about, code)


@contextmanager
def decoys(folder: Path) -> Iterator[dict[str, str]]:
    """A file, sockets and a process that attacks are aimed at; the words that stand for them."""
    target = folder / "target"
    target.write_text("precious")
    sleep = [sys.executable, "-c", "import time\ntime.sleep(1000)"]
    victim = subprocess.Popen(sleep, start_new_session=True)
    streams = socket.socket(socket.AF_UNIX)
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with streams, datagrams:
        streams.bind(str(folder / "socket"))
        streams.listen()
        datagrams.bind(str(folder / "socket.datagrams"))
        for path in folder.iterdir():
            path.chmod(0o666)
        yield {"TARGET": str(target), "SOCKET": str(folder / "socket"), "VICTIM": str(victim.pid)}
        victim.kill()
        victim.wait()


def state_of(words: dict[str, str]) -> tuple[object, ...]:
    """What must not change about the decoys."""
    target = Path(words["TARGET"])
    found = target.stat()
    alive = Path(f"/proc/{words['VICTIM']}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    facts = (found.st_mode, found.st_mtime, found.st_uid, found.st_ctime, os.listxattr(target))
    return (target.read_text(), *facts, alive)


def neighbour(number: int) -> Job:
    """An honest program that needs its scratch folders, its streams, and all of its cases."""
    mark = f"secret-of-a-neighbour-{number}"
    code = (
        f"import os  # {mark}\nassert os.listdir('.') == []\nopen('a', 'w').write('x')\n"
        "os.mkdir('b')\nopen('/dev/null', 'w').write('x')\nprint(input())"
    )
    cases = ((f"{mark} {n}", f"{mark} {n}") for n in range(2))
    return Job(key=f"neighbour {number}", code=code, suite=stdin(*cases, seconds=20.0))


def through(
    words: dict[str, str], skip: frozenset[str] = frozenset(), **options: object
) -> dict[str, str]:
    """Attacks that got through, with what they did.

    Args:
        words: see `decoys`.
        skip: attacks not tried.
        options: of the judge.
    """
    found: dict[str, str] = {}
    with LocalExecutor(**{"workers": 1, "require_isolation": ("none",), **options}) as executor:  # type: ignore[arg-type]
        for number, attack in enumerate(a for a in attacks() if a.name not in skip):
            code = attack.code
            for word, value in words.items():
                code = code.replace(word, value)
            before = state_of(words)
            jobs = [Job(key=kind, code=code, suite=SUITES[kind]) for kind in attack.kinds]
            jobs.append(neighbour(number))
            for verdict in executor.judge(jobs):
                honest = verdict.key.startswith("neighbour")
                through = "THROUGH" in verdict.detail or verdict.passed is not honest
                if through or verdict.status is Status.NOT_JUDGED:
                    found[attack.name] = f"{verdict.key}: {verdict.status}, {verdict.detail[:300]}"
            if state_of(words) != before:
                found[attack.name] = "a decoy was changed"
    return found


def report(folder: Path) -> str:
    """What does not hold without a layer, as a table."""
    count, lines = len(attacks()), []
    for off in ("", *LAYERS):
        with decoys(folder) as words:
            skip = frozenset(NOT_TRIED.get(off, ()))
            found = through(words, skip, disable=(off,) if off else ())
        for path in folder.iterdir():
            path.unlink()
        open_ones = ", ".join(f"`{name}`" for name in sorted(found)) or "none"
        tried = f"{count - len(skip)}" + (f" (not {', '.join(skip)})" if skip else "")
        lines.append(f"| {off or '(all on)'} | {tried} | {open_ones} |")
    head = ["| layer off | attacks tried | that get through |", "|---|---|---|"]
    return "\n".join([BEGIN, *head, *lines, END])


def main() -> None:
    """Measure, print, and write if asked to."""
    folder = Path(f"/tmp/funprm-attacks-{os.getpid()}")
    folder.mkdir()
    try:
        text = report(folder)
    finally:
        folder.rmdir()
    print(text)  # noqa: T201
    if "--write" in sys.argv:
        before, _, rest = DOCS.read_text().partition(BEGIN)
        DOCS.write_text(before + text + rest.partition(END)[2])


if __name__ == "__main__":
    main()
