"""Events as lines and over a WebSocket: in order, none lost, none twice; slow clients are dropped with their cursor."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from api_twin import Twin, ask, served
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sparki_daemon.engine.api import connection, stream


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path)


@pytest.fixture
async def path(twin: Twin, tmp_path: Path) -> AsyncIterator[str]:
    path = str(tmp_path / "sock")
    async with served(twin, path):
        yield path


def happen(twin: Twin, count: int, run: str = "r-1", **data: object) -> None:
    twin.tell(*[("step.started", run, dict(data))] * count)


async def lines(path: str, query: str, count: int = -1) -> list[int]:
    talk = await ask(path, "GET", f"/v1/events?{query}")
    seqs: list[int] = []
    async for line in talk.lines():
        seqs.append(line["seq"])
        if len(seqs) == count:
            break
    talk.close()
    return seqs


async def frames(path: str, query: str, count: int) -> list[int]:
    seqs: list[int] = []
    async with unix_connect(path, f"ws://sparki/v1/events?{query}", max_size=None) as client:
        while len(seqs) < count:
            frame = json.loads(await client.recv())
            assert 0 < len(frame) <= 256
            seqs += [event["seq"] for event in frame]
    return seqs


async def test_lines_end_at_the_head_without_follow(twin: Twin, path: str) -> None:
    happen(twin, 1000)
    assert await lines(path, "since=10") == list(range(11, 1001))
    assert await lines(path, "since=1000") == []


async def test_a_line_is_the_event_as_the_interface_names_it(twin: Twin, path: str) -> None:
    happen(twin, 1, name="ü")
    talk = await ask(path, "GET", "/v1/events")
    assert talk.headers["content-type"] == "application/x-ndjson"
    assert [line async for line in talk.lines()] == [twin.journal[0].to_json()]
    talk.close()


@pytest.mark.parametrize("ask_for", [frames, lines])
async def test_old_events_and_new_ones_come_each_once_in_order(twin: Twin, path: str, ask_for) -> None:
    happen(twin, 700)
    follow = "" if ask_for is frames else "&follow=true"
    following = [asyncio.create_task(ask_for(path, f"since={since}{follow}", 1200 - since)) for since in (0, 300, 699, 700)]
    while twin.feed.followers < 4:
        await asyncio.sleep(0.001)
    for _ in range(50):
        happen(twin, 10)
        await asyncio.sleep(0.001)
    for since, task in zip((0, 300, 699, 700), following, strict=True):
        assert await task == list(range(since + 1, 1201))


@pytest.mark.parametrize("ask_for", [frames, lines])
async def test_a_stream_alone_can_be_followed(twin: Twin, path: str, ask_for) -> None:
    for number in range(100):
        happen(twin, 1, f"r-{number % 3}")
    follow = "" if ask_for is frames else "&follow=true"
    following = asyncio.create_task(ask_for(path, f"since=0&stream=r-1{follow}", 43))
    while not twin.feed.followers:
        await asyncio.sleep(0.001)
    for number in range(30):
        happen(twin, 1, f"r-{number % 3}")
    assert await following == [event.seq for event in twin.journal if event.stream == "r-1"]


async def test_a_reconnecting_client_misses_nothing(twin: Twin, path: str) -> None:
    async def busy() -> None:
        while len(twin.journal) < 2000:
            happen(twin, 7)
            await asyncio.sleep(0.0005)

    happening = asyncio.create_task(busy())
    seqs: list[int] = []
    while len(seqs) < 2000:
        since = seqs[-1] if seqs else 0
        ask_for, follow = (frames, "") if len(seqs) % 2 else (lines, "&follow=true")
        seqs += await ask_for(path, f"since={since}{follow}", min(150, 2000 - len(seqs)))
    await happening
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize(("query", "status"), [("since=5", 409), ("since=x", 422), ("follow=1", 422), ("a=b", 422)])
async def test_a_socket_that_asks_badly_is_refused_with_a_problem_document(path: str, query: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await frames(path, query, 1)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["status"] == status


async def test_a_socket_at_a_pruned_seq_is_refused_with_410(twin: Twin, path: str) -> None:
    happen(twin, 5)
    twin.pruned = 4
    with pytest.raises(InvalidStatus) as refused:
        await frames(path, "since=1", 1)
    assert refused.value.response.status_code == 410
    assert json.loads(refused.value.response.body)["first_kept"] == 5


async def test_a_socket_elsewhere_is_refused_with_404(path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with unix_connect(path, "ws://sparki/v1/nothing"):
            pass
    assert refused.value.response.status_code == 404


async def test_what_a_client_says_is_left_unread(twin: Twin, path: str) -> None:
    async with unix_connect(path, "ws://sparki/v1/events") as client:
        for _ in range(10):
            await client.send("hello")
        while not twin.feed.followers:
            await asyncio.sleep(0.001)
        happen(twin, 3)
        assert [event["seq"] for event in json.loads(await client.recv())] == [1, 2, 3]


async def test_a_client_that_leaves_is_forgotten_without_a_word(twin: Twin, path: str, caplog: pytest.LogCaptureFixture) -> None:
    talks = [await ask(path, "GET", "/v1/events?follow=true") for _ in range(5)]
    sockets = [await unix_connect(path, "ws://sparki/v1/events") for _ in range(5)]
    while twin.feed.followers < 10:
        await asyncio.sleep(0.001)
    for talk in talks:
        talk.close()
    for client in sockets:
        client.transport.abort()
    happen(twin, 1000)
    while twin.feed.followers:
        await asyncio.sleep(0.001)
    assert caplog.records == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STALL_S", 0.1)
    monkeypatch.setattr(connection, "LINGER_S", 5.0)


async def test_a_client_that_takes_nothing_is_dropped_with_its_cursor(twin: Twin, path: str, impatient: None) -> None:
    talk = await ask(path, "GET", "/v1/events?follow=true")
    talk.writer.transport.pause_reading()
    while not twin.feed.followers:
        await asyncio.sleep(0.001)
    while twin.feed.followers:
        happen(twin, 50, text="x" * 1000)
        await asyncio.sleep(0.001)
    talk.writer.transport.resume_reading()
    *events, last = [line async for line in talk.lines()]
    talk.close()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert last == {"dropped": {"since": len(events)}}
    assert len(events) < len(twin.journal)
    assert await lines(path, f"since={len(events)}", 10) == list(range(len(events) + 1, len(events) + 11))


async def test_a_socket_that_takes_nothing_is_closed_with_its_cursor(twin: Twin, path: str, impatient: None) -> None:
    async with unix_connect(path, "ws://sparki/v1/events", max_queue=1, ping_interval=None) as client:
        while not twin.feed.followers:
            await asyncio.sleep(0.001)
        client.transport.pause_reading()
        while twin.feed.followers:
            happen(twin, 50, text="x" * 1000)
            await asyncio.sleep(0.001)
        client.transport.resume_reading()
        seqs: list[int] = []
        with pytest.raises(ConnectionClosed) as closed:  # it may come at any frame
            while True:
                seqs += [event["seq"] for event in json.loads(await client.recv())]
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, f"since={seqs[-1]}")
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_client_that_never_comes_back_holds_its_socket_for_a_bounded_time(
    twin: Twin, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STALL_S", 0.05)
    monkeypatch.setattr(connection, "LINGER_S", 0.05)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.connect(path)
        dead.sendall(b"GET /v1/events?follow=true HTTP/1.1\r\nhost: s\r\n\r\n")
        while not twin.feed.followers:
            await asyncio.sleep(0.001)
        while twin.feed.followers:
            happen(twin, 50, text="x" * 1000)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        received = 0
        while data := dead.recv(1 << 20):
            received += len(data)
    assert 0 < received < 1 << 20


async def test_a_follower_behind_whom_the_journal_is_pruned_is_dropped_with_its_cursor(
    twin: Twin, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(twin, 3000)
    real = twin.events_since

    async def pruned_after_a_page(seq: int, *, stream: str | None, limit: int) -> list:
        page = await real(seq, stream=stream, limit=limit)
        twin.pruned = 2000
        return page

    monkeypatch.setattr(twin, "events_since", pruned_after_a_page)
    twin.feed._read = pruned_after_a_page
    talk = await ask(path, "GET", "/v1/events?follow=true")
    *events, last = [line async for line in talk.lines()]
    talk.close()
    assert [event["seq"] for event in events] == list(range(1, 257))
    assert last == {"dropped": {"since": 256}}
