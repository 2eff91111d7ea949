"""The feed: every event once and in order, whatever the follower's pace."""

from __future__ import annotations

import asyncio
import random

import pytest

from sparki_daemon.engine.feed import KEPT_EVENTS, PAGE, Feed, encode
from sparki_daemon.model.event import Event


def event(seq: int, stream: str = "r-1", kind: str = "step.started", **data: object) -> Event:
    return Event(seq, "2026-01-01T00:00:00.000Z", stream, kind, dict(data))


class Journal:
    """What is committed; `told` of it was published."""

    def __init__(self, kept_events: int = KEPT_EVENTS, kept_bytes: int = 8 << 20) -> None:
        self.events: list[Event] = []
        self.reads = 0
        self.feed = Feed(self.since, kept_events=kept_events, kept_bytes=kept_bytes)

    async def since(self, seq: int, *, stream: str | None, limit: int) -> list[Event]:
        self.reads += 1
        await asyncio.sleep(0)
        return [each for each in self.events[seq:] if stream in (None, each.stream)][:limit]

    def commit(self, count: int = 1, stream: str = "r-1", kind: str = "step.started", **data: object) -> list[Event]:
        made = [event(len(self.events) + 1 + number, stream, kind, **data) for number in range(count)]
        self.events += made
        return made

    def happen(self, count: int = 1, stream: str = "r-1", kind: str = "step.started", **data: object) -> None:
        self.feed.publish(self.commit(count, stream, kind, **data))


async def take(journal: Journal, since: int, upto: int, stream: str | None = None) -> list[int]:
    seqs: list[int] = []
    async for page in journal.feed.subscribe(since, stream):
        assert 0 < len(page) <= PAGE
        seqs += [each.seq for each in page]
        if seqs[-1] >= upto:
            break
    return seqs


async def test_a_follower_gets_what_was_before_and_what_comes_each_once() -> None:
    journal = Journal()
    journal.happen(600)
    following = asyncio.create_task(take(journal, 10, 1600))
    for _ in range(100):
        journal.happen(10)
        await asyncio.sleep(0)

    assert await following == list(range(11, 1601))


async def test_live_events_come_from_the_shared_window_and_not_from_the_journal() -> None:
    journal = Journal()
    following = [asyncio.create_task(take(journal, 0, 500)) for _ in range(20)]
    await asyncio.sleep(0)
    for _ in range(50):
        journal.happen(10)

    assert await asyncio.gather(*following) == [list(range(1, 501))] * 20
    assert journal.reads == 0


async def test_a_follower_that_fell_out_of_the_window_reads_the_journal() -> None:
    journal = Journal(kept_events=64)
    slow = journal.feed.subscription(0)
    with journal.feed.waking(lambda: None):
        for _ in range(100):
            journal.happen(20)
        seqs = []
        while page := await slow.page():
            seqs += [each.seq for each in page]

    assert seqs == list(range(1, 2001))
    assert journal.reads > 0


async def test_rows_that_are_readable_before_they_are_told_come_once() -> None:
    journal = Journal()
    journal.happen(5)
    untold = journal.commit(5)
    subscription = journal.feed.subscription(0)
    with journal.feed.waking(lambda: None):
        first = [each.seq for each in await subscription.page()]
        journal.feed.publish(untold)
        journal.happen(2)
        second = [each.seq for each in await subscription.page()]

    assert first == list(range(1, 11))
    assert second == [11, 12]


@pytest.mark.parametrize("seed", range(20))
async def test_no_gap_and_no_double_at_any_pace(seed: int) -> None:
    dice = random.Random(seed)
    journal = Journal(kept_events=dice.choice([8, 64, 4096]))
    last = 3000

    async def follow(since: int, stream: str | None) -> list[int]:
        seqs: list[int] = []
        async for page in journal.feed.subscribe(since, stream):
            seqs += [each.seq for each in page]
            for _ in range(dice.choice([0, 0, 1, 30])):
                await asyncio.sleep(0)
            if seqs[-1] >= last:
                break
        return seqs

    plans = [(dice.randrange(50), dice.choice([None, "r-1", "r-2"])) for _ in range(12)]
    following = [asyncio.create_task(follow(since, stream)) for since, stream in plans]
    untold: list[Event] = []
    while len(journal.events) < last - 2:
        untold += journal.commit(min(dice.randrange(1, 40), last - 2 - len(journal.events)), dice.choice(["r-1", "r-2", "r-3"]))
        if dice.random() < 0.7:
            journal.feed.publish(untold)
            untold = []
        await asyncio.sleep(0)
    untold += journal.commit(1, "r-1") + journal.commit(1, "r-2")  # an end that each follower sees
    journal.feed.publish(untold)
    last = last - 1

    for (since, stream), task in zip(plans, following, strict=True):
        wanted = [each.seq for each in journal.events[since:] if stream in (None, each.stream)]
        found = await task
        assert found == wanted[: len(found)]
        assert found[-1] >= last


async def test_what_was_told_before_is_not_told_again() -> None:
    journal = Journal()
    subscription = journal.feed.subscription(0)
    with journal.feed.waking(lambda: None):
        journal.happen(3)
        journal.feed.publish(journal.events[:2])
        seqs = [each.seq for each in await subscription.page()]

    assert seqs == [1, 2, 3]
    assert journal.feed.last == 3


async def test_events_of_another_process_are_read_from_the_journal() -> None:
    journal = Journal()
    subscription = journal.feed.subscription(0)
    with journal.feed.waking(lambda: None):
        journal.happen(2)
        theirs = journal.commit(2)
        journal.happen(1)  # ours came after theirs, and is told first
        seqs = [each.seq for each in await subscription.page()]
        journal.feed.publish(theirs)
        journal.commit(1)
        journal.feed.advance(6)
        seqs += [each.seq for each in await subscription.page()]

    assert seqs == [1, 2, 3, 4, 5, 6]


async def test_memory_is_bounded_by_bytes_and_by_number() -> None:
    journal = Journal(kept_events=1000, kept_bytes=200_000)
    with journal.feed.waking(lambda: None):
        for _ in range(50):
            journal.happen(10, text="x" * 10_000)
        assert sum(map(len, journal.feed._lines)) <= 200_000
        for _ in range(500):
            journal.happen(10)
        assert len(journal.feed._events) <= 1000
        assert len(journal.feed._events) == len(journal.feed._lines)
        assert journal.feed._bytes == sum(map(len, journal.feed._lines))


async def test_nothing_is_kept_while_nobody_follows() -> None:
    journal = Journal()
    journal.happen(100)
    assert journal.feed._events == []
    with journal.feed.waking(lambda: None):
        journal.happen(5)
        assert len(journal.feed._events) == 5
    assert journal.feed._events == []
    assert journal.feed.last == 105


async def test_followers_are_woken_together_and_not_for_every_event() -> None:
    journal = Journal()
    wakes: list[int] = []
    with journal.feed.waking(lambda: wakes.append(journal.feed.last)):
        for _ in range(100):
            journal.happen(1)
        await asyncio.sleep(0.05)

    assert wakes[-1] == 100
    assert len(wakes) <= 3


async def test_the_end_of_a_run_does_not_wait_for_the_next_wake() -> None:
    journal = Journal()
    woken = asyncio.Event()
    with journal.feed.waking(woken.set):
        journal.happen(1)
        await woken.wait()
        woken.clear()
        journal.happen(1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not woken.is_set()
        journal.happen(1, kind="run.finished")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert woken.is_set()


async def test_closing_ends_every_follower() -> None:
    journal = Journal()

    async def all_of() -> int:
        return sum([len(page) async for page in journal.feed.subscribe(0)])

    following = [asyncio.create_task(all_of()) for _ in range(3)]
    await asyncio.sleep(0)
    journal.happen(7)
    await asyncio.sleep(0.02)
    journal.feed.close()

    assert await asyncio.gather(*following) == [7, 7, 7]
    assert journal.feed.followers == 0


async def test_a_line_is_the_same_from_the_window_and_from_the_journal() -> None:
    journal = Journal()
    with journal.feed.waking(lambda: None):
        journal.happen(3, name="ünï")
        kept = [journal.feed.line(each) for each in journal.events]
    assert kept == [journal.feed.line(each) for each in journal.events]


def test_a_lone_surrogate_is_escaped_and_all_else_is_utf_8() -> None:
    assert encode({"name": "a\udc80ü"}) == b'{"name":"a\\udc80' + "ü".encode() + b'"}'
