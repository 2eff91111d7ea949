"""What is particular to the store on SQLite: its threads, its groups, and what work may not do."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparki_daemon.store import journal, projects
from sparki_daemon.store.protocol import Tx
from sparki_daemon.store.sqlite import BATCH, SqliteStore
from sparki_daemon.store.stamp import stamp


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(str(tmp_path / "state.db"), now=lambda: 1_795_000_000.25)
    yield opened
    await opened.close()


def appending(stream: str = "r-1"):
    return lambda tx: tx.append("a", stream=stream)


async def held_up(store: SqliteStore) -> tuple[asyncio.Task[None], threading.Event]:
    """A write that keeps the writer busy until the event is set, so that what comes after it is one group."""
    begun, go_on = threading.Event(), threading.Event()

    async def work(tx: Tx) -> None:
        begun.set()
        go_on.wait(20)

    task = asyncio.create_task(store.write(work))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    return task, go_on


async def test_what_waits_is_committed_together_in_bounded_groups(store: SqliteStore) -> None:
    groups: list[int] = []
    store.on_commit(lambda events: groups.append(len(events)))
    task, go_on = await held_up(store)
    writes = [asyncio.create_task(store.write(appending())) for _ in range(2 * BATCH + 10)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(task, *writes)

    assert groups == [BATCH, BATCH, 10]


async def test_a_write_given_up_before_its_turn_is_not_done(store: SqliteStore) -> None:
    task, go_on = await held_up(store)
    given_up = asyncio.create_task(store.write(appending("r-given-up")))
    kept = asyncio.create_task(store.write(appending("r-kept")))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(task, kept)

    assert [event.stream for event in await store.read(lambda tx: journal.since(tx, 0))] == ["r-kept"]


@pytest.mark.parametrize("others", [0, 5])
async def test_work_that_awaits_something_else_is_refused_and_undone(store: SqliteStore, others: int) -> None:
    async def work(tx: Tx) -> None:
        await tx.append("a", stream="r-sleeper")
        await asyncio.sleep(0)

    task, go_on = await held_up(store)
    sleeping = asyncio.create_task(store.write(work))
    writes = [asyncio.create_task(store.write(appending())) for _ in range(others)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(task, *writes)

    with pytest.raises(RuntimeError, match="own methods only"):
        await sleeping
    assert [event.stream for event in await store.read(lambda tx: journal.since(tx, 0))] == ["r-1"] * others


async def test_a_read_that_awaits_something_else_is_refused(store: SqliteStore) -> None:
    async def work(tx: Tx) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="own methods only"):
        await store.read(work)


async def test_an_error_of_any_kind_goes_to_its_caller_and_the_writer_goes_on(store: SqliteStore) -> None:
    async def cancelled(tx: Tx) -> None:
        await tx.append("a", stream="r-1")
        raise asyncio.CancelledError

    async def leaving(tx: Tx) -> None:
        raise SystemError("out")

    results = await asyncio.gather(store.write(cancelled), store.write(leaving), store.write(appending()), return_exceptions=True)

    assert [type(result).__name__ for result in results] == ["CancelledError", "SystemError", "Event"]
    assert await store.read(journal.head) == 1


async def test_work_that_catches_its_own_error_keeps_the_rest(store: SqliteStore) -> None:
    async def work(tx: Tx) -> str:
        await projects.find_or_add(tx, "/a", fresh="p-1")
        try:
            await tx.execute(projects.ADD, id="p-1", path="/b")
        except sqlite3.IntegrityError:
            await tx.append("a", stream="r-1")
        return "kept"

    assert await store.write(work) == "kept"
    assert await store.read(lambda tx: projects.find(tx, "/a")) == "p-1"
    assert await store.read(journal.head) == 1


async def test_a_transaction_that_was_ended_under_its_group_is_told_to_all_of_it(store: SqliteStore) -> None:
    async def rolled_back(tx: Tx) -> None:
        await tx.execute("ROLLBACK")
        raise ValueError("gone")

    task, go_on = await held_up(store)
    writes = [asyncio.create_task(store.write(work)) for work in (appending(), rolled_back, appending())]
    await asyncio.sleep(0)
    go_on.set()
    results = await asyncio.gather(task, *writes, return_exceptions=True)

    assert [type(result).__name__ for result in results[1:]] == ["SparkiError"] * 3
    assert (await store.write(appending())).seq == 1


async def test_time_is_what_the_store_was_given(store: SqliteStore) -> None:
    assert (await store.write(appending())).time == "2026-11-18T11:06:40.250Z"
    assert await store.read(read_now) == "2026-11-18T11:06:40.250Z"


async def read_now(tx: Tx) -> str:
    return tx.now


async def test_more_reads_than_readers_all_come_back(store: SqliteStore) -> None:
    await store.write(appending())

    assert await asyncio.gather(*(store.read(journal.head) for _ in range(100))) == [1] * 100


def test_a_store_serves_one_loop(tmp_path: Path) -> None:
    store = SqliteStore.open(str(tmp_path / "state.db"))

    async def write() -> None:
        await store.write(appending())

    asyncio.run(write())
    with pytest.raises(RuntimeError, match="one event loop"):
        asyncio.run(write())


def test_a_process_may_end_without_closing_its_store(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from sparki_daemon.store.sqlite import SqliteStore

async def main():
    store = SqliteStore.open(sys.argv[1])
    await store.read(lambda tx: tx.one("SELECT 1"))
    print((await store.write(lambda tx: tx.append("a", stream="r-1"))).seq)

asyncio.run(main())
"""
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "state.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "PYTHONPATH": os.getcwd()})

    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (951_827_696_789, "2000-02-29T12:34:56.789Z"),
        (1_795_000_000_250, "2026-11-18T11:06:40.250Z"),
    ],
)
def test_a_moment_is_text_in_utc(milliseconds: int, text: str) -> None:
    assert stamp(milliseconds / 1000) == text


def test_texts_of_moments_sort_as_the_moments_do() -> None:
    moments = [0.0, 0.001, 0.999, 1.0, 59.999, 60.0, 1e9, 1e9 + 0.001, 1.8e9]

    assert [stamp(moment) for moment in moments] == sorted(stamp(moment) for moment in moments)
