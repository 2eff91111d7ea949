"""How long who types `sparki deploy`, `rollback` or `deploy --plan` waits, for a real service that is healthy at once."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from benchmarks.clock import Figure
from benchmarks.desk import Desk
from benchmarks.report import Row

SERVICE = """
import os, socket
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    link, _ = server.accept()
    link.recv(65536)
    link.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    link.close()
"""
SETTINGS = """
environments:
  staging:
    adapter: process
    command: exec {python} -IS service.py
    listen: 127.0.0.1:{port}
    health: {{http: /}}   # as often, and so many times, as docs/deploy.md says
    watch: {watch}
"""
PATIENCE_S = 30.0


class Shop:
    """A repository that deploys a service to this machine; use as a context."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.root = desk.repository("shop", {"service.py": SERVICE, "sparki.yml": self._settings("0s")})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.told("deployments")["deployments"]:
            if one["status"] == "running":
                self.desk.sparki(self.root, "cancel", one["id"])()
                self.until(one["id"], "status", {"cancelled", "reverted"})
        self.desk.sparki(self.root, "env", "down", "staging", "--yes")()

    def _settings(self, watch: str) -> str:
        return SETTINGS.format(python=sys.executable, port=self.port, watch=watch)

    def watch(self, window: str) -> None:
        """What is committed from here on has this watch window."""
        Path(self.root, "sparki.yml").write_text(self._settings(window))
        self.commit(f"watch {window}")

    def commit(self, text: str) -> None:
        Path(self.root, "change.txt").write_text(text)
        self.desk.tool(self.root, "git", "add", "-A")()
        self.desk.tool(self.root, "git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "-qm", text)()

    def told(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(bytes(self.desk.sparki(self.root, *words, "--json")()).splitlines()[-1])  # type: ignore[call-overload]
        return found

    def until(self, deployment: str, key: str, wanted: set[str]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.told("show", deployment)[key] not in wanted:
            if time.monotonic() > deadline:
                raise SystemExit(f"{deployment}: not {wanted} in time")
            time.sleep(0.05)

    def timed(self, *words: str) -> float:
        """Milliseconds of the whole command, as who types it waits for it."""
        self.desk.settled()
        begin = time.perf_counter()
        self.desk.sparki(self.root, *words)()
        return (time.perf_counter() - begin) * 1000

    # -- what is timed; each leaves the shop ready for the next round --------------------------------------------------

    def deploy(self) -> float:
        self.commit(str(time.time_ns()))
        return self.timed("deploy", "staging")

    def plan(self) -> float:
        return self.timed("deploy", "staging", "--plan")

    def cold(self) -> float:
        """What was live before does not run any more: it is started anew."""
        return self.timed("rollback", "staging")

    def warm(self) -> float:
        """The newest is in its watch, and what was live before it runs on beside it."""
        self.commit(str(time.time_ns()))
        deployment = str(self.told("deploy", "staging", "--detach")["deployment"])
        self.until(deployment, "step", {"watch"})
        return self.timed("rollback", "staging")


def rows(desk: Desk, rounds: int) -> Iterator[Row]:
    """Whole commands; the goals are the issue's."""
    with Shop(desk) as shop:
        shop.deploy()
        found = {name: _figure(getattr(shop, name), rounds) for name in ("deploy", "plan", "cold")}
        shop.watch("10m")
        found["warm"] = _figure(shop.warm, rounds)
        yield _row("`sparki deploy`, a service that is healthy at once, without its watch", found["deploy"], 1.5)
        yield _row("`sparki rollback`, the old release warm", found["warm"], 0.3)
        yield _row("`sparki rollback`, the old release cold", found["cold"], 1.0)
        yield _row("`sparki deploy --plan`", found["plan"], 0.4)


def _figure(action: object, rounds: int) -> Figure:
    times = [action() for _ in range(rounds + 1)]  # type: ignore[operator]
    return Figure(tuple(times[1:]))  # the first warms up


def _row(what: str, figure: Figure, goal_s: float) -> Row:
    shown = f"{figure.middle:.0f} ms (best {figure.best:.0f})"
    return Row(f"{what}: seconds", shown, f"wanted: {goal_s:g} s", figure.middle / 1000, goal_s)
