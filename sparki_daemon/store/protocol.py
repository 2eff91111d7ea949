"""The seam of the store: what SQLite gives today and PostgreSQL is to give a team."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sparki_daemon.model.event import Event

Row = Mapping[str, Any]
T = TypeVar("T")


class Tx(Protocol):
    """One transaction. SQL is portable (ON CONFLICT, RETURNING, named `:parameters`, JSON as text).

    On SQLite the methods never suspend: a thread of the store drives the caller's coroutine to its end by itself,
    so `work` may await the transaction's own methods and nothing else.
    """

    now: str  # when the work began, RFC 3339 in UTC with milliseconds: the time of its events, and of its rows

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, or None."""
        ...

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row."""
        ...

    async def execute(self, sql: str, /, **params: Any) -> int:
        """How many rows it changed."""
        ...

    async def many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        """The statement once a row of parameters."""
        ...

    async def append(self, kind: str, /, *, stream: str, **data: Any) -> Event:
        """Write an event with the next seq; it commits with the rows of this transaction, or not at all."""
        ...


class Store(Protocol):
    """The journal and the tables. Writes are durable when `write` returns."""

    async def write(self, work: Callable[[Tx], Awaitable[T]], *, first: Callable[[T], None] | None = None) -> T:
        """Run `work` in a transaction and give its result once it is on disk; its exception, rolled back, otherwise.

        `first` gets the result in the event loop right after the commit, before its events are told to anyone: for what must not wait.

        Raises SparkiError (`disk_full`, `store_unwritable`) where the disk refuses: then nothing is acknowledged or shown. Only after
        a failed fsync with no commit and no clean end after it may the next opening find the write, whole.
        """
        ...

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` on one consistent view; it must not write."""
        ...

    def on_commit(self, listener: Callable[[Sequence[Event]], None]) -> None:
        """Call `listener` in the event loop after each commit with its events, in order of seq, each exactly once."""
        ...

    def on_rollback(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a write was undone, before the next one begins: what was remembered of rows may be wrong."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then let go of the file."""
        ...
