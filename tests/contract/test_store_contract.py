"""What every store promises its callers, whatever keeps the data."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Sequence

import pytest

from sparki_daemon.model.event import Event
from sparki_daemon.store import cursors, journal, projects
from sparki_daemon.store.protocol import Store, Tx


class Refused(Exception):  # noqa: N818  # reads as what happened
    pass


def appending(stream: str, **data: object):
    return lambda tx: tx.append("thing.happened", stream=stream, **data)


async def all_events(store: Store) -> list[Event]:
    return await store.read(lambda tx: journal.since(tx, 0, limit=10_000))


async def test_events_count_from_one(store: Store) -> None:
    first = await store.write(appending("r-1", n=1))
    second = await store.write(appending("r-2", n=2))

    assert (first.seq, second.seq) == (1, 2)
    assert await all_events(store) == [first, second]


async def test_an_empty_journal_has_head_zero(store: Store) -> None:
    assert await store.read(journal.head) == 0
    assert await all_events(store) == []


async def test_seq_has_no_gap_under_fifty_writers_of_whom_some_fail(store: Store) -> None:
    async def writer(number: int) -> int:
        kept = 0
        for turn in range(8):

            async def work(tx: Tx, turn: int = turn) -> None:
                await tx.append("a", stream=f"r-{number}", turn=turn)
                await projects.find_or_add(tx, f"/{number}/{turn}", fresh=f"p-{number}-{turn}")
                if (number + turn) % 3 == 0:
                    raise Refused
                await tx.append("b", stream=f"r-{number}", turn=turn)

            try:
                await store.write(work)
                kept += 1
            except Refused:
                pass
        return kept

    kept = sum(await asyncio.gather(*(writer(number) for number in range(50))))
    events = await all_events(store)

    assert 0 < kept < 400
    assert [event.seq for event in events] == list(range(1, 2 * kept + 1))
    assert await store.read(journal.head) == 2 * kept
    assert len(await store.read(lambda tx: tx.all("SELECT id FROM projects"))) == kept


async def test_an_event_and_its_rows_commit_together_or_not_at_all(store: Store) -> None:
    async def work(tx: Tx) -> None:
        await tx.append("a", stream="r-1")
        await projects.find_or_add(tx, "/a", fresh="p-a")
        raise Refused

    with pytest.raises(Refused):
        await store.write(work)

    assert await all_events(store) == []
    assert await store.read(lambda tx: projects.find(tx, "/a")) is None


async def test_a_failed_write_gives_its_seq_to_the_next(store: Store) -> None:
    async def failing(tx: Tx) -> None:
        await tx.append("a", stream="r-1")
        await tx.append("b", stream="r-1")
        raise Refused

    results = await asyncio.gather(
        store.write(appending("r-1")), store.write(failing), store.write(appending("r-2")), return_exceptions=True
    )

    assert isinstance(results[1], Refused)
    assert [event.stream for event in await all_events(store)] == ["r-1", "r-2"]
    assert [event.seq for event in await all_events(store)] == [1, 2]


async def test_a_failing_statement_fails_its_own_caller_only(store: Store) -> None:
    async def broken(tx: Tx) -> None:
        await tx.execute("INSERT INTO no_such_table VALUES (1)")

    results = await asyncio.gather(
        *(store.write(broken) if n == 2 else store.write(appending(f"r-{n}")) for n in range(5)), return_exceptions=True
    )

    assert [isinstance(result, Event) for result in results] == [True, True, False, True, True]
    assert len(await all_events(store)) == 4


async def test_a_write_can_be_read_once_it_returned(store: Store) -> None:
    for n in range(20):
        written = await store.write(appending("r-1", n=n))
        assert (await all_events(store))[-1] == written


async def test_listeners_hear_each_event_once_in_order_before_its_writer_goes_on(store: Store) -> None:
    heard: list[int] = []
    store.on_commit(lambda events: heard.extend(event.seq for event in events))

    async def writer(n: int) -> None:
        event = await store.write(appending(f"r-{n}"))
        assert event.seq in heard

    await asyncio.gather(*(writer(n) for n in range(100)))

    assert heard == list(range(1, 101))


async def test_listeners_hear_nothing_of_what_was_rolled_back(store: Store) -> None:
    heard: list[Event] = []
    store.on_commit(heard.extend)

    async def failing(tx: Tx) -> None:
        await tx.append("a", stream="r-1")
        raise Refused

    await asyncio.gather(store.write(failing), store.write(appending("r-2")), return_exceptions=True)

    assert [event.stream for event in heard] == ["r-2"]


async def test_a_listener_that_fails_hurts_neither_writers_nor_other_listeners(store: Store) -> None:
    heard: list[Event] = []
    told: list[str] = []

    def failing(events: Sequence[Event]) -> None:
        raise Refused

    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    store.on_commit(failing)
    store.on_commit(heard.extend)

    event = await store.write(appending("r-1"))

    assert heard == [event]
    assert told == ["a commit listener failed"]


async def test_a_read_sees_one_view_from_beginning_to_end(store: Store) -> None:
    await store.write(appending("r-1"))
    looked, written = threading.Event(), threading.Event()

    async def work(tx: Tx) -> tuple[int, int]:
        before = await journal.head(tx)
        looked.set()
        written.wait(2)  # a store that reads in the loop itself lets nobody write meanwhile
        return before, await journal.head(tx)

    async def write_meanwhile() -> None:
        while not looked.is_set():
            await asyncio.sleep(0.001)
        await store.write(appending("r-2"))
        written.set()

    (before, after), _ = await asyncio.gather(store.read(work), write_meanwhile())

    assert (before, after) == (1, 1)
    assert await store.read(journal.head) == 2


async def test_reads_at_the_same_time_have_views_of_their_own(store: Store) -> None:
    early_looked, early_may_end = threading.Event(), threading.Event()

    async def early(tx: Tx) -> int:
        await journal.head(tx)
        early_looked.set()
        early_may_end.wait(2)
        return await journal.head(tx)

    async def late() -> int:
        while not early_looked.is_set():
            await asyncio.sleep(0.001)
        await store.write(appending("r-1"))
        head = await store.read(journal.head)
        early_may_end.set()
        return head

    assert await asyncio.gather(store.read(early), late()) == [0, 1]


async def test_a_read_can_not_write(store: Store) -> None:
    with pytest.raises(Exception, match=r"readonly|read-only"):
        await store.read(lambda tx: cursors.advance(tx, "1", 10))

    assert await store.read(lambda tx: cursors.get(tx, "1")) == 0
    await store.write(lambda tx: cursors.advance(tx, "1", 10))
    assert await store.read(lambda tx: cursors.get(tx, "1")) == 10


async def test_a_failing_read_raises_to_its_caller_and_the_store_goes_on(store: Store) -> None:
    async def failing(tx: Tx) -> None:
        await journal.head(tx)
        raise Refused

    for _ in range(8):
        with pytest.raises(Refused):
            await store.read(failing)

    await store.write(appending("r-1"))
    assert await store.read(journal.head) == 1


async def test_a_cancelled_caller_leaves_the_store_working(store: Store) -> None:
    tasks = [asyncio.create_task(store.write(appending(f"r-{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    streams = {event.stream for event in await all_events(store)}

    assert {f"r-{n}" for n in range(1, 20, 2)} <= streams
    assert [event.seq for event in await all_events(store)] == list(range(1, len(streams) + 1))


async def test_an_event_bears_the_time_of_its_transaction(store: Store) -> None:
    async def work(tx: Tx) -> tuple[str, str]:
        return tx.now, (await tx.append("a", stream="r-1")).time

    now, time = await store.write(work)

    assert time == now
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", now)


async def test_event_data_comes_back_as_it_was_given(store: Store) -> None:
    data = {"text": "ä ☃ \U0001f600 \x00 \n", "number": 1.5, "list": [None, True, {"a": []}], "empty": {}}

    await store.write(appending("r-1", **data))

    assert (await all_events(store))[0].data == data


async def test_event_data_that_is_no_json_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        await store.write(appending("r-1", number=float("nan")))

    assert await all_events(store) == []


async def test_names_that_are_no_unicode_are_kept_apart_and_break_nothing(store: Store) -> None:
    one, other = "/a\udcff", "/a\udcfe"

    await store.write(lambda tx: projects.find_or_add(tx, one, fresh="p-1"))
    await store.write(lambda tx: projects.find_or_add(tx, other, fresh="p-2"))

    assert await store.read(lambda tx: projects.find(tx, one)) == "p-1"
    assert await store.read(lambda tx: projects.find(tx, other)) == "p-2"


async def test_a_statement_tells_how_many_rows_it_changed(store: Store) -> None:
    async def work(tx: Tx) -> list[int]:
        await tx.many("INSERT INTO cursors (runner, spool_offset) VALUES (:runner, 0)", [{"runner": str(n)} for n in range(3)])
        return [
            await tx.execute("UPDATE cursors SET spool_offset = 1 WHERE runner <> :runner", runner="0"),
            await tx.execute("DELETE FROM cursors WHERE runner = :runner", runner="none"),
        ]

    assert await store.write(work) == [2, 0]


async def test_rows_are_mappings(store: Store) -> None:
    await store.write(lambda tx: projects.find_or_add(tx, "/a", fresh="p-1"))

    row = await store.read(lambda tx: tx.one("SELECT id, path FROM projects"))

    assert row is not None
    assert dict(row) == {"id": "p-1", "path": "/a"}
    assert await store.read(lambda tx: tx.one("SELECT id FROM projects WHERE id = :id", id="p-2")) is None


async def test_closing_finishes_what_was_accepted(store: Store) -> None:
    writes = [asyncio.create_task(store.write(appending(f"r-{n}"))) for n in range(50)]
    await asyncio.sleep(0)

    await store.close()

    assert sorted(event.seq for event in await asyncio.gather(*writes)) == list(range(1, 51))


async def test_a_closed_store_refuses_and_may_be_closed_again(store: Store) -> None:
    await store.close()
    await store.close()

    with pytest.raises(RuntimeError, match="closed"):
        await store.write(appending("r-1"))
    with pytest.raises(RuntimeError, match="closed"):
        await store.read(journal.head)
