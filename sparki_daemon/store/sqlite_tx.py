"""One transaction on a SQLite connection, without ever suspending whoever awaits it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from sparki_daemon.model.event import Event
from sparki_daemon.store.journal import HEAD

T = TypeVar("T")
APPEND = "INSERT INTO events (seq, time, stream, kind, data) VALUES (:seq, :time, :stream, :kind, :data)"
SET_HEAD = "UPDATE journal_head SET seq = :seq WHERE id = 1"

# NaN is no JSON: refused here rather than met by a client.
encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class SqliteTx:
    """Fills `Tx`. Its owner begins and commits; `now` is set by it too."""

    __slots__ = ("_cursor", "_head", "events", "now")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()
        self._head: int | None = None  # the journal's seq, once this transaction has asked for it
        self.events: list[Event] = []
        self.now = ""

    async def one(self, sql: str, /, **params: Any) -> Mapping[str, Any] | None:
        # To the end even for one row: a statement left half-way would keep the transaction from committing.
        cursor = self._run(sql, params)
        rows = cursor.fetchall()
        return {column[0]: value for column, value in zip(cursor.description, rows[0], strict=True)} if rows else None

    async def all(self, sql: str, /, **params: Any) -> list[Mapping[str, Any]]:
        cursor = self._run(sql, params)
        rows = cursor.fetchall()
        if not rows:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def execute(self, sql: str, /, **params: Any) -> int:
        return max(self._run(sql, params).rowcount, 0)

    async def many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        try:
            self._cursor.executemany(sql, rows)
        except UnicodeEncodeError:
            self._cursor.executemany(sql, [_clean(row) for row in rows])

    async def append(self, kind: str, /, *, stream: str, **data: Any) -> Event:
        if self._head is None:
            self._head = self.head()
        event = Event(self._head + 1, self.now, stream, kind, data, encode(data))
        self._run(APPEND, {"seq": event.seq, "time": event.time, "stream": stream, "kind": kind, "data": event.text})
        self._head = event.seq
        self.events.append(event)
        return event

    def head(self) -> int:
        """The journal's last seq as this transaction sees it."""
        return int(self._cursor.execute(HEAD).fetchall()[0][0])

    def rewind(self, events: int) -> None:
        """Forget all but the first `events`, whose rows were rolled back: their seqs go to the next ones."""
        undone = len(self.events) - events
        if undone and self._head is not None:
            self._head -= undone
            del self.events[events:]

    def finish(self) -> None:
        """Write the head, once for all events of the transaction; call before the commit."""
        if self.events:
            self._cursor.execute(SET_HEAD, {"seq": self._head})

    def restart(self) -> list[Event]:
        """Be ready for the next transaction; the events of this one."""
        events, self.events, self._head = self.events, [], None
        return events

    def _run(self, sql: str, params: Mapping[str, Any]) -> sqlite3.Cursor:
        try:
            return self._cursor.execute(sql, params)
        except UnicodeEncodeError:
            return self._cursor.execute(sql, _clean(params))


def drive(work: Awaitable[T]) -> T:
    """Run a coroutine that awaits nothing but a SqliteTx, and give its result.

    Raises RuntimeError where it awaits anything else: nobody here could wake it.
    """
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # what a coroutine returned
    if hasattr(steps, "close"):
        steps.close()
    raise RuntimeError("work on a SQLite transaction may await the transaction's own methods only")


def _clean(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with what is no Unicode (bytes of a file's name, which Python carries as surrogates) spelled out."""
    return {name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value for name, value in params.items()}
