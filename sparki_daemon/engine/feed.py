"""The live end of the journal: every follower gets every event once and in order, from one shared window of recent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from sparki_daemon.model.event import Event

PAGE = 256  # events a batch
KEPT_EVENTS = 4096
KEPT_BYTES = 8 * 1024 * 1024
PAUSE_S = 0.025  # between two wakes of the followers: the eye sees no less, and the engine has time for its turns
PAUSE_EACH_S = 0.0001  # a wake costs about 0.04 ms a follower: with a thousand of them wakes come each 0.1 s
FEW = 16  # with so few followers the end of a run is told at once
ENDS = frozenset({"run.finished", "deployment.finished"})

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class ReadJournal(Protocol):
    """Up to `limit` events after `seq`, of `stream` alone when it is given. Raises SparkiError `events_pruned`."""

    async def __call__(self, seq: int, *, stream: str | None, limit: int) -> list[Event]: ...


def encode(value: object) -> bytes:
    """One line of JSON without its line end.

    A lone surrogate (a name from a file system) becomes its own JSON escape, so the result is always UTF-8.
    """
    return _encode(value).encode("utf-8", "backslashreplace")


def line_of(event: Event) -> bytes:
    """`event.to_json()` as one line of JSON; what the store has just written of it is not made again."""
    if not event.text:
        return encode(event.to_json())
    head = f'{{"seq":{event.seq},"time":"{event.time}","stream":"{event.stream}","kind":"{event.kind}","data":'
    return f"{head}{event.text}}}".encode()


class Feed:
    """Keeps the last events while someone follows. A follower holds only a cursor: whoever is slow reads the journal instead.

    `head` is the seq of the last event that was committed before this feed began.
    """

    def __init__(self, read: ReadJournal, head: int = 0, *, kept_events: int = KEPT_EVENTS, kept_bytes: int = KEPT_BYTES) -> None:
        self._read = read
        self._last = head
        self._kept_events = kept_events
        self._kept_bytes = kept_bytes
        self._events: list[Event] = []  # the seqs up to _last, with no gap
        self._lines: list[bytes] = []  # the same, encoded once for everyone
        self._bytes = 0
        self._wakes: dict[object, Callable[[], None]] = {}
        self._woken_at = 0.0
        self._timer: asyncio.Handle | None = None
        self._closed = False

    @property
    def last(self) -> int:
        """The seq of the last event that was published."""
        return self._last

    @property
    def followers(self) -> int:
        return len(self._wakes)

    def publish(self, events: Sequence[Event]) -> None:
        """Tell committed events to the followers. Call it in the loop, after each commit, in order of seq.

        What was told before is left out. After a gap (another process wrote) followers read what they missed from the journal.
        """
        fresh = [event for event in events if event.seq > self._last]
        if not fresh:
            return
        first, last = fresh[0].seq, fresh[-1].seq
        whole = last - first + 1 == len(fresh)
        if first != self._last + 1 or not whole or not self._wakes:
            self._forget()
        self._last = last
        if not self._wakes:
            return
        if whole:
            self._keep(fresh)
        self._schedule(urgent=len(self._wakes) <= FEW and any(event.kind in ENDS for event in fresh))

    def advance(self, head: int) -> None:
        """Another process committed events up to `head`: followers read them from the journal."""
        if head > self._last:
            self._forget()
            self._last = head
            self._schedule(urgent=False)

    def line(self, event: Event) -> bytes:
        """`event.to_json()` as one line of JSON, encoded once however many ask while it is recent."""
        at = event.seq - self._first
        if 0 <= at < len(self._lines):
            return self._lines[at]
        return line_of(event)

    def subscription(self, since: int, stream: str | None = None) -> Subscription:
        """A cursor after `since`, on everything or on one stream."""
        return Subscription(self, since, stream)

    async def subscribe(self, since: int, stream: str | None = None) -> AsyncIterator[list[Event]]:
        """Batches of up to 256 events after `since`: the journal's, then live, until the feed closes.

        Raises SparkiError `events_pruned` when the journal no longer reaches back to `since`.
        """
        wake = asyncio.Event()
        subscription = self.subscription(since, stream)
        with self.waking(wake.set):
            while not self._closed:
                wake.clear()
                while events := await subscription.page():
                    yield events
                await wake.wait()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """While open, `wake` is called when there may be new events."""
        token = object()
        self._wakes[token] = wake
        try:
            yield
        finally:
            del self._wakes[token]
            if not self._wakes:
                self._forget()

    def close(self) -> None:
        """End every `subscribe`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    async def after(self, seq: int, stream: str | None) -> tuple[list[Event], int]:
        """(up to 256 events after `seq`, the seq up to which that answer is complete)."""
        at = seq + 1 - self._first
        if at >= 0:
            held = self._events[at : at + PAGE]
            upto = held[-1].seq if held else seq
            return (held if stream is None else [event for event in held if event.stream == stream]), upto
        head = self._last  # before the read: rows are readable before they are told, so the answer may reach further
        events = await self._read(seq, stream=stream, limit=PAGE)
        upto = events[-1].seq if events else seq
        return events, upto if len(events) >= PAGE else max(upto, head)

    @property
    def _first(self) -> int:
        return self._last - len(self._events) + 1

    def _keep(self, events: list[Event]) -> None:
        lines = [line_of(event) for event in events]
        self._events += events
        self._lines += lines
        self._bytes += sum(map(len, lines))
        if len(self._events) > self._kept_events or self._bytes > self._kept_bytes:
            drop = max(len(self._events) - self._kept_events // 2, 0)  # by halves: a deletion at the front moves the rest
            over = self._bytes - sum(map(len, self._lines[:drop])) - self._kept_bytes
            while over > 0 and drop < len(self._lines):
                over -= len(self._lines[drop])
                drop += 1
            self._bytes -= sum(map(len, self._lines[:drop]))
            del self._events[:drop], self._lines[:drop]

    def _forget(self) -> None:
        self._events.clear()
        self._lines.clear()
        self._bytes = 0

    def _schedule(self, *, urgent: bool) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if not urgent:
                return
            self._timer.cancel()
        due = self._woken_at + max(PAUSE_S, PAUSE_EACH_S * len(self._wakes))
        self._timer = loop.call_soon(self._wake) if urgent or loop.time() >= due else loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._woken_at = asyncio.get_running_loop().time()
        for wake in list(self._wakes.values()):
            wake()


class Subscription:
    """Where one follower is. It costs nothing while it waits: register a wake with `Feed.waking`."""

    __slots__ = ("_feed", "seq", "stream")

    def __init__(self, feed: Feed, since: int, stream: str | None) -> None:
        self._feed = feed
        self.seq = since
        self.stream = stream

    @property
    def behind(self) -> bool:
        """There may be more."""
        return self.seq < self._feed.last

    async def page(self) -> list[Event]:
        """Up to 256 events after the last page, none twice; [] when there are no more now. Raises SparkiError `events_pruned`."""
        while self.behind:
            events, self.seq = await self._feed.after(self.seq, self.stream)
            if events:
                return events
        return []
