"""Small real services for tests of front and keeper, and ways to reach them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sparki_daemon.loco import counts
from sparki_daemon.loco.front.names import sheet_name
from sparki_daemon.system.lines import Lines, pack

LIMIT_S = 20.0


def until(true: Callable[[], object], what: str = "", limit_s: float = LIMIT_S) -> None:
    """Wait for something that is to become true; a test's failure when it does not."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)


class Scripted:
    """A service whose every connection is handled by `handle(connection, number)`, in a thread of its own."""

    def __init__(self, handle: Callable[[socket.socket, int], None]) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.connections = 0
        self._handle = handle
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(connection, self.connections), daemon=True).start()

    def _run(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            self._handle(connection, number)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def read_head(connection: socket.socket) -> bytes:
    """Bytes up to the empty line; what came behind it stays in the socket. Empty at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def read_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            break
        data += more
    return data


def answer(body: bytes, *, status: str = "200 OK", fields: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


def saying(body: bytes) -> Callable[[socket.socket, int], None]:
    """A handler that answers every request without a body with these bytes, and keeps its connections."""

    def handle(connection: socket.socket, number: int) -> None:
        while read_head(connection):
            connection.sendall(answer(body))

    return handle


@dataclass
class Hand:
    """A front process whose keeper is the test."""

    folder: Path
    process: subprocess.Popen[bytes]
    listener: socket.socket
    control_path: str
    link: socket.socket
    lines: Lines = field(default_factory=Lines)
    told: int = 0
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def route(self, release: str | None, port: int = 0, maintenance: dict[str, object] | None = None) -> None:
        """Change the route, and come back when it holds."""
        self.told += 1
        row = self.rows.setdefault(release or "", len(self.rows) + 1)
        upstream = {"release": release, "port": port, "row": row} if release else None
        self.link.sendall(pack({"do": "route", "n": self.told, "upstream": upstream, "maintenance": maintenance}))
        self.hear("did", self.told)

    def hear(self, key: str, value: object) -> None:
        while True:
            data = self.link.recv(65536)
            assert data, f"the front is gone: {self.process.poll()}"
            if any(message.get(key) == value for message in list(self.lines.feed(data))):
                return

    def counted(self, release: str | None) -> dict[str, int]:
        sheet = counts.load(str(self.folder / sheet_name(1)))
        assert sheet is not None
        return sheet.read(self.rows[release] if release else 0)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S)

    def ask(self, data: bytes) -> bytes:
        """Send bytes on a new connection; everything that comes until its end."""
        with self.connect() as connection:
            connection.sendall(data)
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while more := connection.recv(65536):
                    got += more
            return got

    def get(self, path: str = "/", fields: str = "") -> bytes:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{fields}\r\n".encode())


@contextlib.contextmanager
def front(folder: Path) -> Iterator[Hand]:
    """A front that has no route yet."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    control = socket.socket(socket.AF_UNIX)
    path = f"/tmp/sparki-front-{os.getpid()}-{time.monotonic_ns():x}"
    control.bind(path)
    control.listen(8)
    command = [sys.executable, "-m", "sparki_daemon", "front", "--folder", str(folder), "--number", "1"]
    script = textwrap.dedent("""
        import os, sys
        a, b = int(sys.argv[1]), int(sys.argv[2])
        os.dup2(a, 10); os.dup2(b, 11); os.dup2(10, 3); os.dup2(11, 4)
        os.execv(sys.argv[3], sys.argv[3:])
    """)
    fds = (listener.fileno(), control.fileno())
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, fds), *command], pass_fds=fds)
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(LIMIT_S)
    link.connect(path)
    hand = Hand(folder, process, listener, path, link)
    try:
        hand.hear("front", 1)
        yield hand
    finally:
        with contextlib.suppress(OSError):
            link.sendall(pack({"do": "bye"}))
        process.kill()
        process.wait()
        for sock in (link, control, listener):
            sock.close()
        os.unlink(path)


def peak_kib(pid: int) -> int:
    """The most memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError(f"{pid} is gone")
