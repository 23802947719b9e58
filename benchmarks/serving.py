"""Load on `funprm serve`: latencies, throughput, faults of the upstream, memory; every answer is checked.

Run `python benchmarks/serving.py all`; it prints a Markdown table. Server and upstream are processes
of their own on 127.0.0.1, the clients run in this one. The reward model is the shipped tiny one with a
random head: its weights change no work. Each client sends its next request when it has its answer.
"""  # noqa: E501

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

STATEMENT = "Return x plus a constant."
Call = Callable[[httpx.AsyncClient, int], Awaitable[str]]
"""One request with a number of its own; what came of it: `ok`, a status, or `WRONG`."""


@dataclass
class Load:
    """What a number of clients met."""

    name: str
    seconds: float
    latencies: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def row(self) -> str:
        """A line of the table."""
        ordered = sorted(self.latencies)

        def at(share: float) -> str:
            return f"{1000 * ordered[int(share * (len(ordered) - 1))]:.0f}" if ordered else "-"

        told = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        rate = self.outcomes["ok"] / self.seconds
        return f"| {self.name} | {told} | {rate:.1f} | {at(0.5)} | {at(0.95)} | {at(0.99)} |"


async def load(name: str, call: Call, *, clients: int, seconds: float) -> Load:
    """So many clients for so many seconds, each with one request at a time."""
    found = Load(name, seconds)
    end = time.monotonic() + seconds

    async def one(number: int) -> None:
        async with httpx.AsyncClient(timeout=120) as client:
            turn = 0
            while time.monotonic() < end:
                started = time.monotonic()
                outcome = await call(client, 100_000 * number + turn)
                found.outcomes[outcome] += 1
                if outcome == "ok":
                    found.latencies.append(time.monotonic() - started)
                turn += 1

    await asyncio.gather(*(one(number) for number in range(clients)))
    return found


# --- requests --------------------------------------------------------------------------------


def program(number: int) -> str:
    """A program that nobody else has."""
    return f"def add_{number}(x):\n    return x + {number}\n\n\ndef more(x):\n    return x * 2\n"


def best_of_n(url: str, tests: bool) -> Call:
    """The answer must be the one to this request's own statement."""

    async def call(client: httpx.AsyncClient, number: int) -> str:
        body: dict[str, Any] = {
            "model": "m",
            "messages": [{"role": "user", "content": f"number {number}"}],
            "budget": 4,
        }
        if tests:
            case = {"input": [1], "output": 1 + number}
            body |= {"tests": [case], "entry_point": f"add_{number}"}
        answer = await client.post(f"{url}/v1/chat/completions", json=body)
        if answer.status_code != 200:
            return fault(answer)
        found = answer.json()
        right = f"def add_{number}(x)" in found["choices"][0]["message"]["content"]
        if (
            tests
            and found["metadata"]["candidates"][found["metadata"]["selected_index"]]["tests"] != 1
        ):
            right = False
        return "ok" if right else "WRONG"

    return call


def score(url: str, known: Mapping[int, float]) -> Call:
    """The score must be the library's for this request's own program."""

    async def call(client: httpx.AsyncClient, number: int) -> str:
        number %= len(known)
        body = {"text_1": STATEMENT, "text_2": program(number)}
        answer = await client.post(f"{url}/score", json=body)
        if answer.status_code != 200:
            return fault(answer)
        same = abs(answer.json()["data"][0]["score"] - known[number]) < 1e-5
        return "ok" if same else "WRONG"

    return call


def steps(url: str) -> Call:
    """The functions must be those of this request's own program."""

    async def call(client: httpx.AsyncClient, number: int) -> str:
        body = {"statement": STATEMENT, "programs": [program(number)]}
        answer = await client.post(f"{url}/steps", json=body)
        if answer.status_code != 200:
            return fault(answer)
        names = [item["name"] for item in answer.json()["data"][0]["functions"]]
        return "ok" if names == [f"add_{number}", "more"] else "WRONG"

    return call


def fault(answer: httpx.Response) -> str:
    """A status whose body says what is wrong in the protocol's words; else `UNCLEAR`."""
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"UNCLEAR {answer.status_code}"
    return f"status {answer.status_code}" if message else "UNCLEAR"


# --- processes -------------------------------------------------------------------------------


@contextmanager
def started(*command: str, ready: Callable[[], bool]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of this benchmark, once it is ready; killed at the end."""
    with subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL) as process:
        try:
            until(ready)
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    """Wait, two minutes at most."""
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("a server did not start")
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody has at present."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def answers(url: str) -> Callable[[], bool]:
    """Whether something answers there."""

    def ask() -> bool:
        try:
            return httpx.get(url, timeout=10).is_success
        except httpx.HTTPError:
            return False

    return ask


def upstream(port: int, one_in: int) -> None:
    """Serve programs that fit their statements until killed; every so many calls meet a fault."""
    from funprm.testing import server

    def answer(body: Mapping[str, Any], index: int) -> str:
        number = body["messages"][-1]["content"].removeprefix("number ")
        return f"```python\n{program(int(number))}```"

    script = server.Script(answer=answer)
    if one_in:
        faults: tuple[server.Fault, ...] = ("500", "drop", "half", "malformed", "hang", "drip")
        script.fault = server.one_in(one_in, faults)
    with server.serve(script, port) as found:
        while True:
            time.sleep(5)
            found.bodies.clear()
            found.headers.clear()


@contextmanager
def upstream_process(port: int, one_in: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    """An upstream."""
    command = (__file__, "upstream", "--port", str(port), "--one-in", str(one_in))
    with started(*command, ready=answers(f"http://127.0.0.1:{port}/v1/models")) as process:
        yield process


@contextmanager
def served(prm: Path, upstream_port: int, *settings: str) -> Iterator[tuple[str, int]]:
    """A server: its address and process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["-m", "funprm", "serve", "--port", str(port), "--prm", str(prm)]
    command += ["--upstream", f"http://127.0.0.1:{upstream_port}/v1"]
    for setting in ("serve.queue=1000", *settings):
        command += ["--set", setting]
    with started(*command, ready=answers(f"{url}/ready")) as process:
        yield url, process.pid


def random_model(folder: Path) -> Path:
    """A reward model with a random head."""
    import torch

    from funprm.config import TrainConfig
    from funprm.prm.models.opening import open_base, save

    opened = open_base(TrainConfig(base="tiny", device="cpu"))
    torch.nn.init.normal_(opened.model.network.score.weight, std=0.5)
    save(opened, folder / "model", {"mode": "table"})
    return folder / "model"


def memory(pid: int) -> float:
    """Resident mebibytes of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def processor(pid: int) -> float:
    """CPU seconds that a process has used; unlike rates they depend little on other load."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- what is measured ------------------------------------------------------------------------


def measure_load(prm: Path, arguments: argparse.Namespace) -> None:
    """Scores and best-of-N without faults."""
    from funprm import Problem, load_prm

    codes = [program(number) for number in range(256)]
    scores = load_prm(prm).score(Problem.of(STATEMENT), codes)
    known = {number: found.score or 0.0 for number, found in enumerate(scores)}
    port = free_port()
    with upstream_process(port), served(prm, port) as (url, _):
        run(load("/score", score(url, known), **amount(arguments)))
        run(load("best of 4, by score", best_of_n(url, tests=False), **amount(arguments)))
        run(load("best of 4, a test, score", best_of_n(url, tests=True), **amount(arguments)))


def measure_faults(prm: Path, arguments: argparse.Namespace) -> None:
    """Best-of-N where one call in twenty meets a fault; the upstream is killed, and comes back."""
    port = free_port()
    settings = ("serve.upstream_seconds=3",)

    async def kill(seconds: float) -> Load:
        work = asyncio.ensure_future(
            load("5 % faults and stalls, kill -9", best_of_n(url, tests=False), **amount(arguments))
        )
        await asyncio.sleep(seconds / 3)
        os.kill(first.pid, signal.SIGKILL)
        await asyncio.sleep(seconds / 6)
        with upstream_process(port, one_in=20):
            return await work

    with upstream_process(port, one_in=20) as first, served(prm, port, *settings) as (url, _):
        run(kill(arguments.seconds))


def measure_steps(prm: Path, arguments: argparse.Namespace) -> None:
    """Requests for steps of one program each: in common passes, and in one pass each."""
    port = free_port()
    alone = ("serve.batch_programs=1", "serve.batch_wait=0")
    with (
        upstream_process(port),
        served(prm, port) as (url, _),
        served(prm, port, *alone) as (one, _),
    ):
        for turn in (1, 2):
            run(load(f"/steps, common passes ({turn})", steps(url), **amount(arguments)))
            run(load(f"/steps, a pass each ({turn})", steps(one), **amount(arguments)))


def measure_memory(prm: Path, arguments: argparse.Namespace) -> None:
    """Resident memory after the first tenth of many requests, and after all of them."""
    port = free_port()
    total = arguments.requests

    async def some(url: str, count: int) -> Counter[str]:
        left = iter(range(count))
        outcomes: Counter[str] = Counter()

        async def one() -> None:
            async with httpx.AsyncClient(timeout=120) as client:
                for number in left:
                    kind = steps(url) if number % 4 else best_of_n(url, tests=False)
                    outcomes[await kind(client, number)] += 1

        await asyncio.gather(*(one() for _ in range(16)))
        return outcomes

    with upstream_process(port), served(prm, port) as (url, pid):
        first = asyncio.run(some(url, total // 10))
        before = memory(pid)
        rest = asyncio.run(some(url, total - total // 10))
        told = json.dumps(dict(first + rest))
        show(f"memory: {before:.0f} MiB after {total // 10} requests, ")
        show(f"{memory(pid):.0f} MiB after {total}; {told}\n")


def amount(arguments: argparse.Namespace) -> dict[str, Any]:
    """How much load."""
    return {"clients": arguments.clients, "seconds": arguments.seconds}


def run(work: Any) -> None:  # noqa: ANN401  (a coroutine)
    """Do it, and print its row."""
    show(asyncio.run(work).row() + "\n")


def show(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


_MEASURES = {
    "load": measure_load,
    "faults": measure_faults,
    "steps": measure_steps,
    "memory": measure_memory,
}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("all", "upstream", *_MEASURES))
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--one-in", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.what == "upstream":
        upstream(arguments.port, arguments.one_in)
    show(f"{arguments.clients} clients, {arguments.seconds:g} s each, {os.cpu_count()} cores\n\n")
    show("| | answers | right ones per second | p50 ms | p95 ms | p99 ms |\n")
    show("|---|---|---|---|---|---|\n")
    with tempfile.TemporaryDirectory() as folder:
        prm = random_model(Path(folder))
        for name, measure in _MEASURES.items():
            if arguments.what in ("all", name):
                measure(prm, arguments)


if __name__ == "__main__":
    main()
