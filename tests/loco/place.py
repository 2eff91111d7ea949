"""One environment with a real keeper, a small service to run in it, and a load that never pauses."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Self

import pytest
from loco_services import LIMIT_S, until

from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.system import process

SERVICE = """
import http.server, os, signal, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(0.3 if self.path == "/slow" else 0)
        body = os.environ.get({name!r}, "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 200
print("up", flush=True)
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SECRET = "correct-horse-battery"


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Stand:
    """One environment, with a client whose fencing token can be changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = str(root / "environment")
        self.listen = free_address()
        self.keeper = Keeper(self.folder, deployment="d-1", epoch=1)

    def serve(self, release: str, *, secrets: dict[str, str] | None = None, live: bool = True) -> None:
        """Start a service that answers with its release, wait until it listens, and have it live."""
        (self.root / "service.py").write_text(SERVICE.replace("{name!r}", repr("SECRET" if secrets else "SPARKI_RELEASE")))
        command = f"exec {sys.executable} service.py"
        self.keeper.start_service(release, command, str(self.root), variables={}, secrets=secrets or {})
        until(lambda: self.service(release).listening, f"{release} listens")
        if live:
            self.keeper.ensure_front(self.listen)
            self.keeper.set_upstream(release)

    def run(self, release: str, command: str, **more) -> None:
        self.keeper.start_service(release, command, str(self.root), variables={}, secrets={}, **more)

    def service(self, release: str):
        return self.keeper.status().services[release]

    def log(self, release: str) -> str:
        path = Path(self.folder, "logs", f"{release}.log")
        return path.read_text() if path.exists() else ""

    def get(self, path: str = "/") -> str:
        connection = self.connect()
        try:
            return ask(connection, path)
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        host, _, port = self.listen.partition(":")
        return http.client.HTTPConnection(host, int(port), timeout=LIMIT_S)

    def pids(self) -> list[int]:
        """The living processes whose working directory or command line is of this environment."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words, cwd = Path(f"/proc/{entry}/cmdline").read_bytes(), os.readlink(f"/proc/{entry}/cwd")
                if int(entry) != os.getpid() and (str(self.root).encode() in words or cwd.startswith(str(self.root))):
                    found.append(int(entry))
        return found


def ask(connection: http.client.HTTPConnection, path: str = "/") -> str:
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    return text if answer.status == 200 else f"{answer.status} {text}"


def code(problem: pytest.ExceptionInfo[SparkiError]) -> str:
    return problem.value.problems[0].code


def kill(pid: int | None) -> None:
    assert pid
    who = process.identity(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not process.alive(who), f"{pid} is dead")


def tree_of(pid: int) -> list[process.Identity]:
    """What lives below a process; something may end while it is looked at."""
    found = []
    for child in process.descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            found.append(process.identity(child))
    return found


class Load:
    """Clients of three kinds that never pause: kept connections, new ones, slow ones. Every failure is remembered."""

    def __init__(self, place: Stand) -> None:
        self.place, self.stop = place, threading.Event()
        self.failures: list[str] = []
        self.answers = 0
        kinds = [self._kept] * 4 + [self._new] * 4 + [self._slow] * 2
        self.threads = [threading.Thread(target=kind, daemon=True) for kind in kinds]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        until(lambda: self.answers > 20, "load")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(LIMIT_S)

    def _kept(self) -> None:
        connection = self.place.connect()
        while not self.stop.is_set():
            if not self._try(lambda connection=connection: ask(connection)):
                connection.close()
                connection = self.place.connect()
            time.sleep(0.01)
        connection.close()

    def _new(self) -> None:
        while not self.stop.is_set():
            self._try(self.place.get)
            time.sleep(0.01)

    def _slow(self) -> None:
        while not self.stop.is_set():
            self._try(lambda: self.place.get("/slow"))

    def _try(self, act) -> bool:
        try:
            text = act()
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(type(error).__name__)
            return False
        self.answers += 1
        if not text.startswith("r-"):
            self.failures.append(text)
        return True


def tuple_of(listen: str) -> tuple[str, int]:
    host, _, port = listen.partition(":")
    return host, int(port)


def stat_mode(path: str) -> int:
    return os.stat(path).st_mode & 0o777
