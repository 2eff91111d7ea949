"""What the contract needs of a platform beside its adapter: an environment's settings, and a look that does not go through the adapter."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import tarfile
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from loco_services import until
from place import free_address, kill
from twin import Platform, TwinAdapter

from sparki_daemon.loco.adapters import load
from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.loco.protocol import Adapter

BROUGHT = str(Path(__file__).parents[2] / "e2e" / "twin_platform")  # a package with an entry point, as others bring it
GROUP = "sparki.adapters.stands"  # a package that brings an adapter brings its stand, to have the contract run against it
SERVICE = """
import os, socket
with open(os.environ["MARK"], "a") as mark:
    mark.write(os.environ["SPARKI_RELEASE"] + "\\n")
body = os.environ["SPARKI_RELEASE"].encode()
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=200)
while True:
    link, _ = server.accept()
    with link:
        link.recv(65536)
        link.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
"""


class Stand(Protocol):
    """One environment's platform, made with the environment's folder. A release's service marks each of its starts."""

    adapter: Adapter
    settings: Mapping[str, Any]  # of a service that is healthy at once; its watch is short
    artifact: Mapping[str, Any]
    patience_s: float  # how long a step that hangs is waited for

    def running(self) -> set[str]:
        """The releases that run."""
        ...

    def serves(self) -> str:
        """The release that answers."""
        ...

    def started(self) -> list[str]:
        """The releases, as often as each was started in all this time."""
        ...

    def lose(self) -> None:
        """What can die of the platform without its services dies; it may come back by itself, or when it is asked."""
        ...

    def unanswered(self) -> list[str]:
        """What went wrong for those who asked all along; a loss is no part of it."""
        ...

    def close(self) -> None: ...


class MemoryStand:
    """The twin of loco's own tests."""

    settings: Mapping[str, Any] = {"watch_s": 0.0}
    artifact: Mapping[str, Any] = {"kind": "source"}
    patience_s = 0.05

    def __init__(self, folder: Path) -> None:
        self.platform = Platform()
        self.adapter = TwinAdapter(self.platform)

    def running(self) -> set[str]:
        return set(self.platform.running)

    def serves(self) -> str:
        return self.platform.traffic

    def started(self) -> list[str]:
        return [release for _, release in self.platform.starts]

    def lose(self) -> None:
        """It is as alive as the test."""

    def unanswered(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing outlives it."""


class ProcessStand:
    """A real keeper, front and services, asked without a pause."""

    patience_s = 2.0

    def __init__(self, folder: Path) -> None:
        self.adapter = load("process")
        self.folder, self.listen = folder, free_address()
        self.mark = folder.parent / "starts"
        self.mark.touch()
        self.settings = {
            "command": f"exec {sys.executable} -IS service.py",
            "listen": self.listen,
            "health": {"http": "/", "interval_s": 0.05},
            "watch_s": 0.15,
            "grace_s": 5.0,
            "variables": {"MARK": str(self.mark)},
        }
        self.artifact = packed(folder.parent)
        self.asking = Asking(self.get)

    def running(self) -> set[str]:
        with Keeper(str(self.folder)) as keeper:
            return set(keeper.status().services) if keeper.runs() else set()

    def serves(self) -> str:
        return self.get()

    def started(self) -> list[str]:
        return self.mark.read_text().split()

    def lose(self) -> None:
        with Keeper(str(self.folder)) as keeper:
            if not keeper.runs():
                return
            status = keeper.status()
        self.asking.pause()
        kill(status.pid)
        if status.front_pid and Path(f"/proc/{status.front_pid}").exists():  # it starts a keeper anew, if it is not killed too
            kill(status.front_pid)

    def unanswered(self) -> list[str]:
        return self.asking.failed

    def get(self) -> str:
        host, _, port = self.listen.partition(":")
        link = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            link.request("GET", "/")
            answer = link.getresponse()
            text = answer.read().decode()
            return text if answer.status == 200 else f"{answer.status} {text}"
        finally:
            link.close()

    def close(self) -> None:
        self.asking.close()
        if (self.folder / "keeper.json").exists():  # a dead keeper's services live: one that comes back adopts and ends them
            with Keeper(str(self.folder), deployment="end", epoch=10**9) as owner:
                owner.down(grace_s=1.0)


class Asking:
    """Asks again and again from the first answer on, and keeps what went wrong."""

    def __init__(self, get: Callable[[], str]) -> None:
        self.get, self.failed = get, list[str]()
        self.stopped, self.going = threading.Event(), threading.Event()
        self.idle = threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def begin(self) -> None:
        self.idle.clear()
        self.going.set()

    def pause(self) -> None:
        """Come back when nothing is asked any more."""
        if self.going.is_set():
            self.going.clear()
            until(self.idle.is_set, "the last answer")

    def _ask(self) -> None:
        while not self.stopped.is_set():
            if not self.going.wait(0.05):
                self.idle.set()
                continue
            try:
                answer = self.get()
            except (OSError, http.client.HTTPException) as error:
                answer = type(error).__name__
            if not answer.startswith("v-"):
                self.failed.append(answer)
            self.stopped.wait(0.005)

    def close(self) -> None:
        self.stopped.set()
        self.thread.join()


def packed(folder: Path) -> dict[str, Any]:
    """An archive with the service in it, as a release has one."""
    (folder / "service.py").write_text(SERVICE)
    path = folder / "release.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folder / "service.py", "service.py")
    return {"kind": "source", "digest": hashlib.sha256(path.read_bytes()).hexdigest(), "path": os.fspath(path)}


def stands() -> dict[str, Callable[[Path], Stand]]:
    """The stand of every adapter, by name; `memory` is no adapter that can be named in sparki.yml."""
    sys.path.append(BROUGHT)
    try:
        brought = {point.name: point.load() for point in entry_points(group=GROUP)}
    finally:
        sys.path.remove(BROUGHT)
    return {"memory": MemoryStand, "process": ProcessStand, **brought}
