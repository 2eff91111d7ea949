"""The store on SQLite: one writer thread that commits in groups, and readers beside it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from sparki_daemon.model.event import Event
from sparki_daemon.store.gate import Gate, GateHeld
from sparki_daemon.store.journal import HEAD
from sparki_daemon.store.protocol import Tx
from sparki_daemon.store.sqlite_file import connect_reader, connect_writer, gate_held, of_the_disk, open_state, primary, refusal
from sparki_daemon.store.sqlite_tx import SqliteTx, drive
from sparki_daemon.store.stamp import stamp

T = TypeVar("T")
Listener = Callable[[Sequence[Event]], None]

BATCH = 256  # callers that share a commit: bounds how long the first of them waits for the last
READERS = 4
LOCKED_LIMIT_S = 120.0  # how long others may keep us from writing before callers are told


class _Item(NamedTuple):
    work: Callable[[Tx], Awaitable[Any]]
    future: asyncio.Future[Any]
    first: Callable[[Any], None] | None = None


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: BaseException | None
    first: Callable[[Any], None] | None = None


class SqliteStore:
    """Fills `Store`. Made by `open`; used from one event loop, the one that calls it first."""

    def __init__(self, path: str, gate: Gate, connection: sqlite3.Connection, now: Callable[[], float]) -> None:
        self._path = path
        self._gate = gate
        self._now = now
        self._connection = connection
        self._tx = SqliteTx(connection)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: list[Listener] = []
        self._undone: list[Callable[[], None]] = []  # called in the writer thread
        self._waiting: SimpleQueue[_Item | None] = SimpleQueue()
        self._closing: asyncio.Future[None] | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._idle: list[sqlite3.Connection] = []  # readers' connections that no read uses
        # A daemon: a process that ends without `close` loses what was not acknowledged, and nothing more.
        self._writer = threading.Thread(target=self._write_on, name="store-writer", daemon=True)
        self._writer.start()

    @classmethod
    def open(cls, path: str, *, now: Callable[[], float] = time.time) -> SqliteStore:
        """The store whose state file is `path`, made where there is none. `now` gives seconds since 1970, for events and rows.

        Raises SparkiError: `state_corrupt`, `state_newer`, `migration_changed`, `state_unwritable`, `disk_full`.
        """
        gate, connection = open_state(path, now=stamp(now()))
        return cls(path, gate, connection, now)

    async def write(self, work: Callable[[Tx], Awaitable[T]], *, first: Callable[[T], None] | None = None) -> T:
        future: asyncio.Future[T] = self._bind().create_future()
        self._waiting.put(_Item(work, future, first))
        return await future

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return await self._bind().run_in_executor(self._readers, self._read, work)

    def on_commit(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def on_rollback(self, listener: Callable[[], None]) -> None:
        self._undone.append(listener)

    async def close(self) -> None:
        if self._closing is None:
            loop = self._bind()
            self._closing = loop.create_future()
            self._waiting.put(None)
        await asyncio.shield(self._closing)

    def _bind(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError("a SqliteStore serves one event loop")
            self._loop = loop
        if self._closing is not None:
            raise RuntimeError("the store is closed")
        return loop

    def _read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        # A connection a read: what runs at once must not see each other's transactions.
        connection = None
        try:
            connection = self._reader()
            tx = SqliteTx(connection)
            tx.now = stamp(self._now())
            connection.execute("BEGIN")
            return drive(work(tx))
        except sqlite3.Error as error:
            if of_the_disk(error):
                raise refusal(error, self._path) from error
            raise
        finally:
            if connection is not None:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")  # nothing was written; it lets go of the view
                self._idle.append(connection)

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return connect_reader(self._path)

    # From here on: the writer thread.

    def _write_on(self) -> None:
        going = True
        while going:
            batch, going = self._next_batch()
            if batch:
                self._deliver(*self._run(batch))
        self._readers.shutdown(wait=True)
        for connection in self._idle:
            connection.close()
        # Last of all connections: its end empties the WAL into the file.
        self._connection.close()
        self._gate.close()
        self._in_loop(self._closed)

    def _next_batch(self) -> tuple[list[_Item], bool]:
        """All that waits, bounded; False with the last batch there will be."""
        item = self._waiting.get()
        batch: list[_Item] = []
        try:
            while item is not None:
                if not item.future.cancelled():  # whoever gave up before we began wants nothing written
                    batch.append(item)
                if len(batch) == BATCH:
                    return batch, True
                item = self._waiting.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _run(self, batch: list[_Item]) -> tuple[list[Event], list[_Outcome]]:
        """Run a batch in one transaction: its events and outcomes once they are on disk, or a refusal for each."""
        try:
            self._gate.enter(LOCKED_LIMIT_S)
        except GateHeld:
            return [], [_Outcome(item.future, None, gate_held(self._path, LOCKED_LIMIT_S)) for item in batch]
        try:
            self._begin()
            outcomes = self._run_items(self._connection, batch)
            self._tx.finish()
            if self._connection.in_transaction:  # not after a single item that failed
                self._connection.execute("COMMIT")
            events = self._tx.restart()
            if events:
                self._gate.note(events[-1].seq)
            return events, outcomes
        except sqlite3.Error as error:
            self._abandon(error)
            return [], [_Outcome(item.future, None, refusal(error, self._path)) for item in batch]
        finally:
            self._gate.leave()

    def _begin(self) -> None:
        deadline = time.monotonic() + LOCKED_LIMIT_S
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            else:
                return

    def _run_items(self, connection: sqlite3.Connection, batch: list[_Item]) -> list[_Outcome]:
        """Run each item; one that raises is undone alone. Raises sqlite3.Error where none of them can be kept."""
        tx = self._tx
        alone = len(batch) == 1  # the transaction is its savepoint
        outcomes = []
        for work, future, first in batch:
            before = len(tx.events)
            tx.now = stamp(self._now())
            if not alone:
                connection.execute("SAVEPOINT item")
            try:
                outcomes.append(_Outcome(future, drive(work(tx)), None, first))
            except BaseException as error:  # a worker's exception belongs to its caller, of whatever kind it is
                if of_the_disk(error):
                    raise
                if not connection.in_transaction:
                    raise sqlite3.OperationalError("the transaction was rolled back") from error
                connection.execute("ROLLBACK" if alone else "ROLLBACK TO item")
                tx.rewind(before)
                self._tell_undone()
                outcomes.append(_Outcome(future, None, error))
            if not alone:
                connection.execute("RELEASE item")
        return outcomes

    def _tell_undone(self) -> None:
        for listener in self._undone:
            listener()

    def _abandon(self, error: sqlite3.Error) -> None:
        """After a transaction that failed as a whole: leave nothing of it, and be ready for the next."""
        self._tx.restart()
        self._tell_undone()
        old = self._connection
        try:
            if old.in_transaction:
                old.execute("ROLLBACK")
            if primary(error) != sqlite3.SQLITE_IOERR:
                return
            # Nobody knows which pages of the old connection's cache the disk has: a new one reads them again. It is attached
            # before the old one ends, because the last connection's end has the WAL read anew, with what has just failed in it.
            new = connect_writer(self._path)
            new.execute(HEAD).fetchall()
        except sqlite3.Error:
            return  # the disk still refuses: the next batch finds out by itself
        self._connection, self._tx = new, SqliteTx(new)
        old.close()

    def _deliver(self, events: list[Event], outcomes: list[_Outcome]) -> None:
        self._in_loop(self._settle, events, outcomes)

    def _in_loop(self, call: Callable[..., None], *args: Any) -> None:
        assert self._loop is not None  # whoever waits has bound it
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop has ended: nobody waits any more
            return

    # From here on: the loop again.

    def _settle(self, events: list[Event], outcomes: list[_Outcome]) -> None:
        for _, result, error, first in outcomes:
            if first is not None and error is None:
                self._call(first, result)
        if events:
            for listener in self._listeners:
                try:
                    listener(events)
                except Exception as failure:  # the commit stands, and its callers must hear of it
                    context = {"message": "a commit listener failed", "exception": failure}
                    asyncio.get_running_loop().call_exception_handler(context)
        for future, result, error, _ in outcomes:
            if future.done():  # its caller was cancelled
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def _call(self, listener: Callable[[Any], None], about: Any) -> None:
        try:
            listener(about)
        except Exception as error:  # the commit stands, and its callers must hear of it
            context = {"message": "a commit listener failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _closed(self) -> None:
        assert self._closing is not None
        if not self._closing.done():
            self._closing.set_result(None)
