"""The builder's connection to one runner."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, Protocol

from sparki_daemon.builder.ports import Recall, Stop
from sparki_daemon.model.spec import JobSpec
from sparki_daemon.model.wire import Frame, Unpacker, pack

LONGEST_BYTES = 100  # some systems take 104


class Listener(Protocol):
    """Who hears what a runner says."""

    def said_hello(self, link: RunnerLink, hello: dict[str, Any]) -> None: ...
    def sent_records(self, link: RunnerLink, offset: int, data: bytes) -> None: ...
    def log_grew(self, job: str) -> None: ...
    def hung_up(self, link: RunnerLink) -> None: ...


class RunnerLink(asyncio.Protocol):
    """One runner's socket, and what it holds as far as the builder knows."""

    def __init__(self, name: str, listener: Listener) -> None:
        self.name = name
        self.pid = 0
        self.ready = False  # said hello, and nothing of its past is still to be taken
        self.jobs: list[str] = []  # given to it and not ended; it works on the first
        self.recalled: set[str] = set()
        self.received = 0  # the spool offset after the last record that came
        self._listener = listener
        self._unpacker = Unpacker()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, name: str, path: str, listener: Listener) -> RunnerLink:
        """Connect to the runner at `path`. Raises OSError where nobody listens."""
        loop = asyncio.get_running_loop()
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # A socket's path may have no more than 107 bytes; the folder's descriptor is a short name for any depth.
            near = f"/proc/self/fd/{folder}/{os.path.basename(path)}" if len(os.fsencode(path)) > LONGEST_BYTES else path
            _, link = await loop.create_unix_connection(lambda: cls(name, listener), near)
        finally:
            os.close(folder)
        return link

    @property
    def idle(self) -> bool:
        return self.ready and not self.jobs

    def resume(self, offset: int) -> None:
        """Ask for the spool from `offset` on."""
        self.received = offset
        self._send(Frame.RESUME, {"from": offset})

    def assign(self, spec: JobSpec) -> None:
        self._send(Frame.ASSIGN, spec)

    def stop(self, stop: Stop) -> None:
        self._send(Frame.CANCEL, {"job": stop.job, "epoch": stop.epoch, "force": stop.force})

    def recall(self, recall: Recall) -> None:
        """Ask once for a job back that was given ahead."""
        if recall.job not in self.recalled:
            self.recalled.add(recall.job)
            self._send(Frame.RECALL, {"job": recall.job, "epoch": recall.epoch})

    def watch(self, job: str, *, on: bool) -> None:
        self._send(Frame.WATCH, {"job": job, "on": on})

    def quit(self) -> None:
        """Ask it to leave as soon as it has no job."""
        self._send(Frame.QUIT, {})

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _send(self, kind: Frame, body: Any) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(pack(kind, json.dumps(body, separators=(",", ":")).encode()))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for kind, offset, body in self._unpacker.feed(data):
            if kind is Frame.RECORDS:
                self._listener.sent_records(self, offset, body)
            elif kind is Frame.GREW:
                self._listener.log_grew(json.loads(body)["job"])
            elif kind is Frame.HELLO:
                self._listener.said_hello(self, json.loads(body))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._listener.hung_up(self)
