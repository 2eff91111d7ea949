"""What carries an open answer: batches, patience, and the end that a client makes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sparki_daemon.engine.api import stream
from sparki_daemon.engine.api.stream import CHUNK_BYTES, Batch, Stalled, batches, sent, while_connected


def test_a_batch_gives_its_lines_in_order_and_then_has_none() -> None:
    batch = Batch()
    assert not batch.add(b"one", 7)
    assert not batch.add(b"text")
    assert batch.take() == (b"one\ntext\n", 7)
    assert batch.size == 0
    batch.add(b"x")
    assert batch.take() == (b"x\n", None)


def test_events_go_in_chunks_that_tell_how_far_they_reach() -> None:
    lines = [(b"x" * (CHUNK_BYTES // 2), seq) for seq in range(1, 6)]
    chunks = batches(lines)
    assert [seq for _, seq in chunks] == [2, 4, 5]
    assert b"".join(data for data, _ in chunks) == b"".join(line + b"\n" for line, _ in lines)
    assert batches([]) == []


async def test_a_send_that_is_not_taken_is_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STALL_S", 0.01)

    async def never(_: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stalled):
        await sent(never, {"type": "x"})


async def test_somebody_elses_timeout_is_no_stall() -> None:
    async def times_out(_: Any) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await sent(times_out, {"type": "x"})


class Client:
    """What a client sends: messages, then its end when it leaves."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def receive(self) -> Any:
        return await self.messages.get()


async def test_work_ends_when_the_client_leaves() -> None:
    client, ended = Client(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    client.messages.put_nowait({"type": "http.request"})
    doing = asyncio.create_task(while_connected(client.receive, "http.disconnect", work()))
    await asyncio.sleep(0)
    assert not doing.done()
    client.messages.put_nowait({"type": "http.disconnect"})
    await doing
    assert ended.is_set()


async def test_work_that_fails_tells_its_caller() -> None:
    async def work() -> None:
        raise Stalled

    with pytest.raises(Stalled):
        await while_connected(Client().receive, "http.disconnect", work())


async def test_a_cancelled_caller_leaves_nothing_running() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    doing = asyncio.create_task(while_connected(Client().receive, "http.disconnect", work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert ended.is_set()
