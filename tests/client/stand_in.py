"""A real HTTP server on a real Unix socket, whose answers a test writes: what the engine may say, and how it may die."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparki_daemon.client.version import VERSION

Handler = Callable[["Request", "Reply"], None]


class Request:
    def __init__(self, head: str, body: bytes) -> None:
        first, *lines = head.split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.body = json.loads(body) if body else None
        self.path, _, self.query = self.target.partition("?")

    def values(self, name: str) -> list[str]:
        return [part.partition("=")[2] for part in self.query.split("&") if part.partition("=")[0] == name]


class Reply:
    """The way back; leaving without an answer is an engine that died."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def json(self, data: Any, status: int = 200) -> None:
        body = json.dumps(data).encode()
        self.sock.sendall(f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)

    def problem(self, code: str, status: int, exit_code: int, message: str = "it can't be", hint: str = "") -> None:
        problem = {"code": code, "message": message, "file": None, "line": None, "column": None, "hint": hint}
        self.json({"title": code, "detail": message, "code": code, "exit_code": exit_code, "problems": [problem]}, status)

    def begin(self) -> None:
        self.sock.sendall(b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        self.sock.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def lines(self, *items: Any) -> None:
        self.chunk(b"".join(json.dumps(item).encode() + b"\n" for item in items))

    def end(self) -> None:
        self.sock.sendall(b"0\r\n\r\n")


NO_PAST = {"broken_since": None, "flaky": [], "slow": []}


class StandIn:
    """`on("GET", "/v1/runs", handler)`; the longest path that begins a request's wins. Keeps every request."""

    def __init__(self, home: Path, *, version: str = VERSION) -> None:
        self.home = home
        self.requests: list[Request] = []
        self.routes: dict[tuple[str, str], Handler] = {}
        self.version = version
        self.address = str(home / "d.sock")
        self.listener: socket.socket | None = None
        self.open: list[socket.socket] = []

    def on(self, method: str, path: str, handler: Handler) -> None:
        self.routes[method, path] = handler

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        Path(self.address).unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.address)
        self.listener.listen(64)
        self.tell(self.version)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def tell(self, version: str) -> None:
        self.version = version
        told = {"socket": self.address, "pid": os.getpid(), "start": 1, "boot": "b", "version": version}
        (self.home / "daemon.json").write_text(json.dumps(told))

    def stop(self) -> None:
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None

    def asked(self, method: str, path: str) -> list[Request]:
        return [request for request in self.requests if request.method == method and request.path == path]

    def wait_for(self, method: str, path: str, count: int = 1) -> list[Request]:
        deadline = time.monotonic() + 20
        while len(found := self.asked(method, path)) < count:
            assert time.monotonic() < deadline, f"{method} {path} never came: {[(r.method, r.target) for r in self.requests]}"
            time.sleep(0.005)
        return found

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                held = b""
                while b"\r\n\r\n" not in held:
                    data = sock.recv(65536)
                    if not data:
                        return
                    held += data
                head, _, body = held.partition(b"\r\n\r\n")
                bare = Request(head.decode(), b"")
                while len(body) < int(bare.headers.get("content-length", 0)):
                    body += sock.recv(65536)
                request = Request(head.decode(), body)
                self.requests.append(request)
                self._handler(request)(request, Reply(sock))
        except OSError:
            return  # the client left

    def _handler(self, request: Request) -> Handler:
        if request.path.endswith("/history") and (request.method, request.path) not in self.routes:
            return answers(NO_PAST)
        fitting = [path for method, path in self.routes if method == request.method and request.path.startswith(path)]
        if not fitting:
            return lambda _, reply: reply.problem("no_such_path", 404, 5, f"no {request.method} {request.path}")
        return self.routes[request.method, max(fitting, key=len)]


def answers(data: Any, status: int = 200) -> Handler:
    return lambda _, reply: reply.json(data, status)


def dies_first(times: int, then: Handler) -> Handler:
    """An engine that goes away before it answers, `times` times."""
    left = [times]

    def handler(request: Request, reply: Reply) -> None:
        if left[0]:
            left[0] -= 1
            return
        then(request, reply)

    return handler


def event(seq: int, kind: str, *, run: str = "r-1", ms: int = 0, **data: Any) -> dict[str, Any]:
    """An event of the journal at 12:00:00 and `ms` milliseconds."""
    seconds, rest = divmod(ms, 1000)
    time_text = f"2026-11-23T12:{seconds // 60:02}:{seconds % 60:02}.{rest:03}Z"
    return {"seq": seq, "time": time_text, "stream": run, "kind": kind, "data": {"run": run, **data}}


def text(start: int, words: str, *, job: str = "build", step: int = 0, uid: str = "") -> dict[str, Any]:
    return {"log": {"uid": uid or f"j-{job}", "job": job, "step": step, "from": start, "text": words}}
