"""The store in this process's memory, for a run that leaves nothing behind: no file, no thread, no wait."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sparki_daemon.model.event import Event
from sparki_daemon.store.migrate import build
from sparki_daemon.store.protocol import Tx
from sparki_daemon.store.sqlite_tx import SqliteTx, drive
from sparki_daemon.store.stamp import stamp

T = TypeVar("T")
NOWHERE = ":memory:"


class MemoryStore:
    """Fills `Store`, and never suspends whoever awaits it: `now` is for callers that have no event loop.

    It is as safe as its process: what dies with it, the run that it is for dies with too.
    """

    def __init__(self, on_failure: Callable[[Exception], None], now: Callable[[], float] = time.time) -> None:
        """`on_failure` hears what a commit's listener raises: the commit stands, whatever that is."""
        self._on_failure = on_failure
        self._open = True
        self._clock = now
        self._connection = sqlite3.connect(NOWHERE, isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = ON")
        build(self._connection)
        self._tx = SqliteTx(self._connection)
        self._listeners: list[Callable[[Sequence[Event]], None]] = []
        self._undone: list[Callable[[], None]] = []

    async def write(self, work: Callable[[Tx], Awaitable[T]], *, first: Callable[[T], None] | None = None) -> T:
        self._check_open()
        tx = self._tx
        tx.now = stamp(self._clock())
        self._connection.execute("BEGIN")
        try:
            result = drive(work(tx))
            tx.finish()
        except BaseException:
            self._connection.execute("ROLLBACK")
            tx.restart()
            for undone in self._undone:
                undone()
            raise
        self._connection.execute("COMMIT")
        events = tx.restart()
        if first is not None:
            first(result)
        if events:
            self._tell(events)
        return result

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        self._check_open()
        tx = SqliteTx(self._connection)
        tx.now = stamp(self._clock())
        self._connection.execute("PRAGMA query_only = ON")
        try:
            return drive(work(tx))
        finally:
            self._connection.execute("PRAGMA query_only = OFF")

    def on_commit(self, listener: Callable[[Sequence[Event]], None]) -> None:
        self._listeners.append(listener)

    def on_rollback(self, listener: Callable[[], None]) -> None:
        self._undone.append(listener)

    async def close(self) -> None:
        self._open = False
        self._connection.close()

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("the store is closed")

    def _tell(self, events: Sequence[Event]) -> None:
        for listener in self._listeners:
            try:
                listener(events)
            except Exception as failure:
                self._on_failure(failure)
