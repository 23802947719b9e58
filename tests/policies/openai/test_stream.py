import asyncio
import signal
import threading

import pytest

from funprm.policies.openai.stream import Emit, Stream


def alive() -> bool:
    return any(thread.name == "funprm-api" for thread in threading.enumerate())


def test_items_come_before_the_error() -> None:
    async def produce(emit: Emit[int]) -> None:
        emit(1)
        emit(2)
        raise ValueError("three")

    got: list[int] = []
    with pytest.raises(ValueError, match="three"):
        got.extend(Stream(produce))
    assert got == [1, 2]
    assert not alive()


def test_closing_cancels_the_task() -> None:
    ended: list[str] = []

    async def produce(emit: Emit[int]) -> None:
        emit(1)
        emit(2)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    stream = Stream(produce)
    items = iter(stream)
    assert next(items) == 1
    items.close()  # type: ignore[attr-defined]
    assert not alive()
    assert ended == ["cancelled"]
    assert list(stream.leftovers()) == [2]


def test_an_unused_stream_starts_nothing() -> None:
    async def produce(emit: Emit[int]) -> None:
        raise AssertionError

    iter(Stream(produce)).close()  # type: ignore[attr-defined]
    assert not alive()


def test_ctrl_c_while_waiting_still_yields_what_arrived() -> None:
    async def produce(emit: Emit[int]) -> None:
        emit(1)
        await asyncio.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            emit(2)

    got: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        got.extend(Stream(produce))
    assert got == [1, 2]
    assert not alive()
