"""What the keeper and a front say to each other: JSON lines over a Unix socket in the environment's folder.

The front listens (on a socket that the keeper made and the front inherits), the keeper connects: a new keeper just connects again.

The keeper says:

- `{"do": "route", "n": …, "upstream": {"release", "port", "row"} | null, "maintenance": {"text", "retry_after_s"} | null}`, answered by
  `{"did": n}` once it holds
- `{"do": "hold"}` with a file descriptor: something to keep for the next keeper, unread
- `{"do": "give"}`, answered by `{"given": names}` with the descriptors of the public socket and of what is held
- `{"do": "drain", "limit_s": …}`
- `{"do": "bye"}`: the keeper goes on purpose, nobody is to be started in its place

The front says `{"front": number, "pid": …}` to each connection, and `{"ready": true}` once it takes connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

from sparki_daemon.loco.front.route import Maintenance
from sparki_daemon.loco.front.server import Front
from sparki_daemon.system.lines import Lines, pack


class Control:
    """The front's end. `orphaned()` is called when the keeper died without a goodbye."""

    def __init__(self, listener: socket.socket, front: Front, number: int, orphaned: Callable[[], None]) -> None:
        self._listener = listener
        self._front = front
        self._number = number
        self._orphaned = orphaned
        self._held: int | None = None
        self._keeper: socket.socket | None = None
        self._lines = Lines()
        self._bye = False
        self._ready = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    @property
    def has_keeper(self) -> bool:
        return self._keeper is not None

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        loop = asyncio.get_running_loop()
        if self._keeper is not None:  # a keeper's lock allows one: the former is dead, and its end has not been read yet
            self._drop()
        connection.setblocking(False)
        self._keeper, self._lines, self._bye = connection, Lines(), False
        loop.add_reader(connection.fileno(), self._hear)
        self._tell({"front": self._number, "pid": os.getpid()})
        if self._ready:
            self._tell({"ready": True})

    def _drop(self) -> None:
        if self._keeper is not None:
            asyncio.get_running_loop().remove_reader(self._keeper.fileno())
            self._keeper.close()
            self._keeper = None

    def _tell(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        if self._keeper is not None:
            with contextlib.suppress(OSError):  # its end is read next
                socket.send_fds(self._keeper, [pack(message)], fds)

    def _hear(self) -> None:
        keeper = self._keeper
        if keeper is None:
            return
        try:
            data, fds, _, _ = socket.recv_fds(keeper, 65536, 4)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        for fd in fds:
            os.set_inheritable(fd, False)
            if self._held is not None:
                os.close(self._held)
            self._held = fd
        if not data:
            self._drop()
            if not self._bye:
                self._orphaned()
            return
        for message in self._lines.feed(data):
            self._obey(message)

    def _obey(self, message: dict[str, Any]) -> None:
        match message.get("do"):
            case "route":
                self._route(message)
            case "give":
                held = () if self._held is None else (self._held,)
                self._tell({"given": ["listener", "held"][: 1 + len(held)]}, (self._front.listener.fileno(), *held))
            case "drain":
                self._front.drain(float(message["limit_s"]))
            case "bye":
                self._bye = True

    def _route(self, message: dict[str, Any]) -> None:
        upstream, maintenance = message["upstream"], message["maintenance"]
        if upstream is None:
            self._front.unset_upstream()
        else:
            self._front.set_upstream(upstream["release"], upstream["port"], upstream["row"])
        self._front.set_maintenance(None if maintenance is None else Maintenance(**maintenance))
        self._tell({"did": message["n"]})
        if not self._ready:
            task = asyncio.get_running_loop().create_task(self._open())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self) -> None:
        await self._front.open()
        if not self._ready:
            self._ready = True
            self._tell({"ready": True})
