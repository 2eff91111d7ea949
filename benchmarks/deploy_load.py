"""A bounded load for a service on loopback, in a process of its own: kept, new, slow and idle connections.

python -m benchmarks.deploy_load PORT mixed|one|many [SECONDS]; prints JSON. `mixed` says `ready`, and ends when its standard input does.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import threading
import time
from collections import Counter
from statistics import median

GET, SLOW = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n", b"GET /slow HTTP/1.1\r\nHost: bench\r\n\r\n"
LIMIT_S = 10.0
PAUSE_S = 0.01  # of a client between two requests: the load is bounded, so that the machine's other half shows


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ask(sock: socket.socket, request: bytes = GET) -> str:
    """One request and its whole answer. Raises OSError when it is cut, ValueError when it is not 200."""
    sock.sendall(request)
    data = b""
    while True:
        more = sock.recv(65536)
        if not more:
            raise ConnectionResetError("cut" if data else "closed")
        data += more
        head, found, body = data.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            if not head.startswith(b"HTTP/1.1 200"):
                raise ValueError(head.partition(b"\r\n")[0].decode())
            return body.decode()


class Mixed:
    """8 kept, 4 new and 4 slow clients, and 8 idle connections that ask once a second."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.answers = 0
        self.failed: Counter[str] = Counter()
        self.resets = 0  # of connections that were idle when they were asked

    def run(self) -> dict[str, object]:
        begin = time.monotonic()
        clients = [self.kept] * 8 + [self.new] * 4 + [self.slow] * 4 + [self.idle] * 8
        threads = [threading.Thread(target=client) for client in clients]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        sys.stdin.read()
        self.over.set()
        for thread in threads:
            thread.join()
        return {"answers": self.answers, "failed": dict(self.failed), "resets": self.resets, "seconds": time.monotonic() - begin}

    def note(self, error: Exception | None) -> None:
        with self.lock:
            if error is None:
                self.answers += 1
            else:
                self.failed[f"{type(error).__name__}: {error}"] += 1

    def kept(self, request: bytes = GET, pause_s: float = PAUSE_S) -> None:
        sock = None
        while not self.over.is_set():
            try:
                sock = sock or connect(self.port)
                ask(sock, request)
                self.note(None)
            except (OSError, ValueError) as error:
                self.note(error)
                sock = None
            time.sleep(pause_s)

    def slow(self) -> None:
        self.kept(SLOW, 0)

    def new(self) -> None:
        while not self.over.is_set():
            try:
                with connect(self.port) as sock:
                    ask(sock)
                self.note(None)
            except (OSError, ValueError) as error:
                self.note(error)
            time.sleep(PAUSE_S)

    def idle(self) -> None:
        sock = connect(self.port)
        while not self.over.wait(1.0):
            try:
                ask(sock)
                self.note(None)
            except (OSError, ValueError):
                self.resets += 1
                sock = connect(self.port)


def one(port: int, seconds: float) -> float:
    """Microseconds of a request at the median, one after the other on one connection."""
    sock, times = connect(port), []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        sock.sendall(GET)
        sock.recv(65536)
        times.append(time.perf_counter() - begin)
    return median(times) * 1e6


def many(port: int, seconds: float, connections: int = 16) -> float:
    """Requests a second, as many as go, on 16 connections."""
    chosen = selectors.DefaultSelector()
    for _ in range(connections):
        sock = connect(port)
        sock.sendall(GET)
        chosen.register(sock, selectors.EVENT_READ)
    answers, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for key, _ in chosen.select():
            sock = key.fileobj
            sock.recv(65536)
            answers += 1
            sock.sendall(GET)
    return answers / (time.perf_counter() - begin)


if __name__ == "__main__":
    where, kind = int(sys.argv[1]), sys.argv[2]
    length_s = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    print(json.dumps(Mixed(where).run() if kind == "mixed" else {"one": one, "many": many}[kind](where, length_s)))
