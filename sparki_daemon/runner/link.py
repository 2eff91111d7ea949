"""The runner's end of its socket: whoever connects last is the builder."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any, Protocol

from sparki_daemon.model.wire import Frame, Unpacker, pack
from sparki_daemon.runner.loop import READ, WRITE, Loop
from sparki_daemon.runner.spool import Spool

LAZY_S = 0.010  # records wait so long for company
LAZIEST_S = 0.025  # and no longer where it keeps coming: each message is a turn of the builder's; followers are woken no more often
GREW_S = 0.030  # a log's growth is told no more often than this, and not where records are: they wake its followers too
_RECV_BYTES = 64 * 1024


class Owner(Protocol):
    """Whose link it is."""

    def hello(self) -> dict[str, Any]:
        """What a builder that connects is told first."""
        ...

    def ordered(self, kind: Frame, message: dict[str, Any]) -> None:
        """Hear an order of the builder's."""
        ...

    def deserted(self) -> None:
        """Hear that the builder is gone, or another one has come in its place."""
        ...


class Link:
    """Listens at a path; greets, hears orders, and sends the spool from where the builder wants it.

    It never waits for the builder: what a slow or stopped one does not take stays in the spool.
    """

    def __init__(self, loop: Loop, folder: str, name: str, spool: Spool, owner: Owner) -> None:
        self._loop = loop
        self._spool = spool
        self._owner = owner
        self._server = _listen(folder, name)
        self._connection: socket.socket | None = None
        self._unpacker = Unpacker()
        self._out = b""  # of a frame that is under way
        self._next: int | None = None  # the spool offset of the next frame; None until the builder has said it
        self._since = 0.0  # when the first of the records that wait was told
        self._watched: set[str] = set()
        self._grown: dict[str, int] = {}
        loop.watch(self._server.fileno(), READ, self._accept)

    def close(self) -> None:
        """Take leave: what is unsent stays in the spool."""
        self._hang_up()
        self._loop.forget(self._server.fileno())
        self._server.close()

    def told(self) -> None:
        """There are new records: send them soon, with those that follow."""
        if self._next is None:
            return
        now = time.monotonic()
        if not self._loop.waiting("records"):
            self._since = now
        self._loop.after("records", min(LAZY_S, self._since + LAZIEST_S - now), self.flush)

    def flush(self) -> None:
        """Send all records that the builder has not got, as far as it takes them now."""
        self._loop.drop("records")
        while self._connection and self._drained():
            if self._next is None or not (data := self._spool.read(self._next)):
                return
            self._out = pack(Frame.RECORDS, data, self._next)
            self._next += len(data)
            self._grown.clear()
            self._loop.drop("grew")

    def grew(self, job: str, size: int) -> None:
        """A job's log has `size` bytes now; told only while somebody watches it."""
        if job in self._watched:
            self._grown[job] = size
            if not self._loop.waiting("grew"):
                self._loop.after("grew", GREW_S, self._tell_growth)

    def _tell_growth(self) -> None:
        if self._connection and self._drained():
            grown, self._grown = self._grown, {}
            self._out = b"".join([_frame(Frame.GREW, {"job": job, "log": size}) for job, size in grown.items()])
            self._drained()
        elif self._connection:
            self._loop.after("grew", GREW_S, self._tell_growth)

    def _drained(self) -> bool:
        """Send what is under way; False while the builder does not take it, or is gone."""
        connection = self._connection
        if connection is None:
            return False
        try:
            while self._out:
                self._out = self._out[connection.send(self._out) :]
        except BlockingIOError:
            self._loop.watch(connection.fileno(), READ | WRITE, self._on_ready)
            return False
        except OSError:
            self._lost()
            return False
        return True

    def _accept(self) -> None:
        try:
            connection, _ = self._server.accept()
        except OSError:  # gone again, or no descriptor left: it stays in the queue
            return
        if self._connection:
            self._lost()
        connection.setblocking(False)
        self._connection = connection
        self._unpacker = Unpacker()
        self._out = _frame(Frame.HELLO, self._owner.hello())
        self._loop.watch(connection.fileno(), READ, self._on_ready)
        self._drained()

    def _on_ready(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._out:
            self._loop.watch(connection.fileno(), READ, self._on_ready)
            self.flush()
        try:
            data = connection.recv(_RECV_BYTES)
        except BlockingIOError:
            return
        except OSError:  # a reset is an end too: the builder died with unread data
            data = b""
        if not data:
            if self._connection is connection:
                self._lost()
            return
        self._hear(data)

    def _hear(self, data: bytes) -> None:
        try:
            for kind, _, body in self._unpacker.feed(data):
                message = json.loads(body or b"{}")
                if kind is Frame.RESUME:
                    self._next = int(message["from"])
                    self.flush()
                elif kind is Frame.WATCH:
                    (self._watched.add if message["on"] else self._watched.discard)(message["job"])
                else:
                    self._owner.ordered(kind, message)
        except (ValueError, KeyError, TypeError):  # no builder of ours speaks so: hang up, it may connect anew
            self._lost()

    def _lost(self) -> None:
        self._hang_up()
        self._owner.deserted()

    def _hang_up(self) -> None:
        if self._connection:
            self._loop.forget(self._connection.fileno())
            self._connection.close()
        self._connection = None
        self._out = b""
        self._next = None
        self._watched.clear()
        self._grown.clear()
        self._loop.drop("records")
        self._loop.drop("grew")


def _frame(kind: Frame, body: dict[str, Any]) -> bytes:
    return pack(kind, json.dumps(body, separators=(",", ":")).encode())


def _listen(folder: str, name: str) -> socket.socket:
    """A listening socket `folder`/`name`.sock for its owner only. Bound from inside: a socket's path may have no more than 107 bytes."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.chdir(folder)
    before = os.umask(0o177)
    try:
        server.bind(f"{name}.sock")
    finally:
        os.umask(before)
    server.setblocking(False)
    server.listen(8)
    return server
