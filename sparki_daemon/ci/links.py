"""One runner as its parent without an event loop sees it: a socket, and what comes and goes over it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from typing import Any

from sparki_daemon.builder.ports import Arrived, Attached, Recall, Stop
from sparki_daemon.model.spec import JobSpec
from sparki_daemon.model.wire import Frame, Unpacker, pack

CONNECT_LIMIT_S = 10.0
READ_BYTES = 256 * 1024
LONGEST_BYTES = 100  # of a socket's path; some systems take 104


class Link:
    """A runner that this process forked. `jobs`: given to it and not ended; it works on the first."""

    def __init__(self, name: str, pid: int, path: str) -> None:
        self.name = name
        self.pid = pid
        self.jobs: list[str] = []
        self.ready = False
        self.received = 0  # bytes of its spool that came
        self._recalled: set[str] = set()
        self._unpacker = Unpacker()
        self._socket = _connected(path, pid)

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> tuple[list[Arrived], list[Attached], list[str]] | None:
        """What it says: records, that it is there, and jobs whose logs grew; None: it has hung up."""
        try:
            data = self._socket.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            return None
        arrived: list[Arrived] = []
        attached: list[Attached] = []
        grown: list[str] = []
        for kind, offset, body in self._unpacker.feed(data):
            if kind is Frame.RECORDS:
                arrived.append(Arrived(self.name, offset, body))
                self.received = offset + len(body)
            elif kind is Frame.GREW:
                grown.append(json.loads(body)["job"])
            elif kind is Frame.HELLO:
                self.ready = True
                self._send(Frame.RESUME, {"from": 0})
                attached.append(Attached(self.name, None, 0))
        return arrived, attached, grown

    def assign(self, spec: JobSpec) -> None:
        """Give it a job, and ask to hear when the job's log grows."""
        self.jobs.append(spec["job"])
        self._send(Frame.ASSIGN, spec)
        self._send(Frame.WATCH, {"job": spec["job"], "on": True})

    def stop(self, stop: Stop) -> None:
        self._send(Frame.CANCEL, {"job": stop.job, "epoch": stop.epoch, "force": stop.force})

    def recall(self, recall: Recall) -> None:
        """Ask once for a job back that was given ahead."""
        if recall.job not in self._recalled:
            self._recalled.add(recall.job)
            self._send(Frame.RECALL, {"job": recall.job, "epoch": recall.epoch})

    def ended(self, jobs: set[str]) -> None:
        """Jobs that it no longer has."""
        self.jobs = [job for job in self.jobs if job not in jobs]
        self._recalled -= jobs

    def close(self) -> None:
        self._socket.close()

    def _send(self, kind: Frame, body: Any) -> None:
        with contextlib.suppress(OSError):  # it is dead: its end is told by its parent's wait
            self._socket.sendall(pack(kind, json.dumps(body, separators=(",", ":")).encode()))


def _connected(path: str, pid: int) -> socket.socket:
    """Connect to the runner `pid`, just born, which is about to listen at `path`. Raises OSError where it died, or never does."""
    deadline = time.monotonic() + CONNECT_LIMIT_S
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    near = f"/proc/self/fd/{folder}/{os.path.basename(path)}" if len(os.fsencode(path)) > LONGEST_BYTES else path
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        while True:
            try:
                client.connect(near)
            except (FileNotFoundError, ConnectionRefusedError):
                ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is not None or time.monotonic() > deadline:
                    client.close()
                    raise
                time.sleep(0.001)
            else:
                return client
    finally:
        os.close(folder)
